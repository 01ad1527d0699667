"""What the training commands share: models to begin with, rows to train on, folders to leave behind."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from culet.lm import Decoder, DecoderConfig
    from culet.lm.tokenizers.tokenizer import Tokenizer

NEW_VOCABULARY = 8192  # of a tokenizer made on the spot
TOKENIZER = "tokenizer"  # and its folder in that of the run
ALL_LINEAR = ""  # the pattern that is found in every path


def new_or_loaded(
    model: str | None,
    preset: str | None,
    scaled: str | None,
    tokenizer: "Path | Tokenizer | None",
    corpus: Iterable[str],
    seed: int,
    out: Path,
) -> "tuple[Decoder, Tokenizer]":
    """The model to train: loaded from a folder, or new from a preset, with the tokenizer that goes with it.

    A tokenizer that must be made first, from the `corpus`, is kept in `out`, where the same command finds it when it
    goes on.
    """
    import jax

    from culet.lm import load
    from culet.lm import preset as find_preset
    from culet.lm.tokenizers.tokenizer import Tokenizer

    if (model is None) == (preset is None):
        raise ValueError("say either --model, to go on from one, or --preset, for a new one")
    words = Tokenizer.load(tokenizer) if isinstance(tokenizer, Path) else tokenizer
    if model is not None:
        decoder, own = load(model)
        return decoder, words or own
    assert preset is not None
    config = find_preset(preset) if scaled is None else parse_scaled(preset, scaled)
    words = words or _made_tokenizer(out, corpus, min(config.vocabulary, NEW_VOCABULARY))
    if words.vocabulary > config.vocabulary:
        raise ValueError(
            f"the tokenizer has {words.vocabulary} tokens and the model only {config.vocabulary}; "
            f"say --scaled vocabulary={words.vocabulary}"
        )
    return config.init(jax.random.key(seed)), words


def parse_scaled(preset: str, text: str) -> "DecoderConfig":
    """A smaller preset from "layers=4,width=128". Raises ValueError for what does not read so."""
    from culet.lm._presets import SCALABLE, scaled

    numbers = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in SCALABLE or not value.strip().isdecimal():
            raise ValueError(f"--scaled takes NAME=NUMBER,... with the names {', '.join(SCALABLE)}; not {part!r}")
        numbers[name] = int(value)
    return scaled(preset, **numbers)


def _made_tokenizer(out: Path, corpus: Iterable[str], vocabulary: int) -> "Tokenizer":
    from culet.lm.tokenizers.tokenizer import Tokenizer
    from culet.lm.tokenizers.training import train_tokenizer

    if (out / TOKENIZER).exists():
        return Tokenizer.load(out / TOKENIZER)
    words = train_tokenizer(corpus, vocabulary)
    words.save(out / TOKENIZER)
    return words


def corpus_of(texts: Sequence[Path], conversations: bool) -> Iterator[str]:
    """All that is said in the texts, or in the conversations in them. Nothing is read before it is asked for."""
    from culet.lm.text_files import read_conversations, read_documents

    if conversations:
        yield from (turn["content"] for talk in read_conversations(texts) for turn in talk)
    else:
        yield from (document.text for document in read_documents(texts))


def tokenised(texts: Sequence[Path], words: "Tokenizer", length: int, conversations: bool) -> Any:
    """Packed rows of the texts, or of the conversations in them."""
    from rich.console import Console

    from culet.lm._train import answer_rows, text_rows
    from culet.lm.text_files import read_conversations, read_documents

    with Console(stderr=True).status("reading and packing texts"):
        if conversations:
            return answer_rows(list(read_conversations(texts)), words, length)
        return text_rows((document.text for document in read_documents(texts)), words, length)


def text_bytes(texts: Sequence[Path]) -> int:
    """UTF-8 bytes of all texts."""
    from culet.lm.text_files import read_documents

    return sum(len(document.text.encode()) for document in read_documents(texts))


def lora(model: "Decoder", rank: int | None, alpha: float, seed: int) -> tuple[Any, Any]:
    """The model and the filter of what to train: with a rank, adapters on all linear layers and nothing else."""
    import equinox as eqx
    import jax

    from culet.nn import add_lora, lora_filter

    if rank is None:
        return model, eqx.is_inexact_array
    adapted = add_lora(model, ALL_LINEAR, rank, alpha, key=jax.random.key(seed))
    return adapted, lora_filter(adapted)


def save(out: Path, model: Any, words: "Tokenizer") -> None:
    """Writes the model folder, adapters merged, and says where it is."""
    from culet.lm import save as write
    from culet.nn import merge_lora

    write(out, merge_lora(model), words)
    print(f"{out}: a model folder; try: culet generate {out} 'Once'")
