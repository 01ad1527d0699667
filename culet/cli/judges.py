"""`culet train --preferences` and `--entailment`: from examples with labels to a reward model."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from culet.align.rewards.examples import preference_rows, read_preferences, read_statements, statement_rows
from culet.lm.recipe import Recipe

if TYPE_CHECKING:
    from culet.align.rewards.reward_model import Meaning
    from culet.lm import Decoder, LoRA, Tokenizer

# For each meaning of the score: the reader of examples, the function to rows, and the fields that hold text.
_KINDS: dict[str, tuple[Callable[..., Iterator[Any]], Callable[..., Any], tuple[str, ...]]] = {
    "reward": (read_preferences, preference_rows, ("prompt", "first", "second")),
    "entailment": (read_statements, statement_rows, ("premise", "hypothesis")),
}


def corpus_of_examples(meaning: "Meaning", files: Sequence[Path]) -> Iterator[str]:
    """The texts of all examples. A file is read when its first text is asked for."""
    read, _, fields = _KINDS[meaning]
    yield from (getattr(example, field) for example in read(files) for field in fields)


def train_judge(
    meaning: "Meaning",
    decoder: "Decoder",
    lora: "LoRA | None",
    tokenizer: "Tokenizer",
    files: Sequence[Path],
    held_out: Sequence[Path] | None,
    length: int,
    recipe: Recipe,
    out: Path,
) -> None:
    """Trains a reward model that begins with the decoder's weights, saves it, and prints how it does on `held_out`."""
    import equinox as eqx
    import jax
    from rich.console import Console

    from culet.align.rewards import RewardModel, evaluate_judgement, save_reward_model, train_reward_model
    from culet.nn import lora_filter, merge_lora

    read, as_rows, _ = _KINDS[meaning]
    most = min(length, decoder.config.context)
    with Console(stderr=True).status("reading examples"):
        rows = as_rows(list(read(files)), tokenizer, most)
        held_rows = as_rows(list(read(held_out)), tokenizer, most) if held_out else None
    if lora is not None:
        decoder = lora.adapt(decoder, jax.random.key(recipe.seed))
    trainable = eqx.is_inexact_array if lora is None else lora_filter(decoder)
    model = RewardModel(decoder, meaning, key=jax.random.key(recipe.seed))
    trained = merge_lora(
        train_reward_model(model, rows, recipe, trainable=trainable, held_out=held_rows, folder=out, name=out.name)
    )
    save_reward_model(out, trained, tokenizer)
    message = f"{out}: a model of {meaning}, trained on {len(rows['labels'])} examples"
    if held_rows is not None:
        scores = evaluate_judgement(trained, held_rows, recipe.batch_size)
        count = len(held_rows["labels"])
        message += f"; on {count} held-out ones: accuracy {scores['accuracy']:.3f}, loss {scores['loss']:.3f}"
    print(message)
