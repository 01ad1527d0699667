"""What `culet train --preferences` and `--entailment` do: from judged examples to a reward model."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from culet.align.rewards.examples import preference_rows, read_preferences, read_statements, statement_rows
from culet.lm.recipe import Recipe

if TYPE_CHECKING:
    from culet.align.rewards.reward_model import Meaning
    from culet.lm import Decoder
    from culet.lm.tokenizers.tokenizer import Tokenizer

# By what the model's score will mean: how examples are read, how they become rows, and which of their fields are text.
_KINDS: dict[str, tuple[Callable[..., Iterator[Any]], Callable[..., Any], tuple[str, ...]]] = {
    "reward": (read_preferences, preference_rows, ("prompt", "first", "second")),
    "entailment": (read_statements, statement_rows, ("premise", "hypothesis")),
}


def corpus_of_examples(meaning: "Meaning", files: Sequence[Path]) -> Iterator[str]:
    """All that is said in the examples. Nothing is read before it is asked for."""
    read, _, fields = _KINDS[meaning]
    yield from (getattr(example, field) for example in read(files) for field in fields)


def train_judge(
    meaning: "Meaning",
    decoder: "Decoder",
    trainable: Any,
    words: "Tokenizer",
    files: Sequence[Path],
    held_out: Sequence[Path] | None,
    length: int,
    recipe: Recipe,
    out: Path,
) -> None:
    """Trains a reward model that begins as the decoder, writes its folder, and says how it does on what is held out."""
    import jax
    from rich.console import Console

    from culet.align.rewards import RewardModel, evaluate_judgement, save_reward_model, train_reward_model
    from culet.nn import merge_lora

    read, as_rows, _ = _KINDS[meaning]
    most = min(length, decoder.config.context)
    with Console(stderr=True).status("reading examples"):
        rows = as_rows(list(read(files)), words, most)
        held_rows = as_rows(list(read(held_out)), words, most) if held_out else None
    model = RewardModel(decoder, meaning, key=jax.random.key(recipe.seed))
    trained = merge_lora(
        train_reward_model(model, rows, recipe, trainable=trainable, held_out=held_rows, folder=out, name=out.name)
    )
    save_reward_model(out, trained, words)
    told = f"{out}: a model of {meaning}, learned from {len(rows['labels'])} examples"
    if held_rows is not None:
        found = evaluate_judgement(trained, held_rows, recipe.batch_size)
        told += f"; on {len(held_rows['labels'])} held out: accuracy {found['accuracy']:.3f}, loss {found['loss']:.3f}"
    print(told)
