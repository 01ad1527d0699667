"""What the training commands share: the model to begin with, rows to train on, the folder of the result."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from culet.lm import Decoder, DecoderConfig
    from culet.lm.tokenizers.tokenizer import Tokenizer

NEW_VOCABULARY = 8192  # most tokens of a tokenizer that is learned from the texts
TOKENIZER = "tokenizer"  # its folder within that of the run


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

    A tokenizer that is learned first, from the `corpus`, is kept in `out`, where the same command finds it when a
    stopped run continues.
    """
    import jax

    from culet.lm import Tokenizer, load
    from culet.lm import preset as preset_config

    if (model is None) == (preset is None):
        raise ValueError("give either --model, to train that one further, or --preset, for a new model")
    if isinstance(tokenizer, Path):
        tokenizer = Tokenizer.load(tokenizer)
    if model is not None:
        decoder, own_tokenizer = load(model)
        tokenizer, hint = tokenizer or own_tokenizer, "give the tokenizer that the model was trained with"
        config = decoder.config
    else:
        assert preset is not None
        config = preset_config(preset) if scaled is None else parse_scaled(preset, scaled)
        tokenizer = tokenizer or _learned_tokenizer(out, corpus, min(config.vocabulary, NEW_VOCABULARY))
        decoder, hint = None, f"give --scaled vocabulary={tokenizer.vocabulary}"
    if tokenizer.vocabulary > config.vocabulary:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocabulary} tokens and the model only {config.vocabulary}; {hint}"
        )
    return decoder or config.init(jax.random.key(seed)), tokenizer


def parse_scaled(preset: str, text: str) -> "DecoderConfig":
    """A smaller preset from "layers=4,width=128". Raises ValueError for what does not read so."""
    from culet.lm._presets import SCALABLE, scaled

    numbers = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in SCALABLE or not value.strip().isdecimal():
            raise ValueError(f"--scaled: {part!r} is not NAME=NUMBER with a name out of {', '.join(SCALABLE)}")
        numbers[name] = int(value)
    return scaled(preset, **numbers)


def _learned_tokenizer(out: Path, corpus: Iterable[str], vocabulary: int) -> "Tokenizer":
    from culet.lm import Tokenizer, train_tokenizer

    if (out / TOKENIZER).exists():
        return Tokenizer.load(out / TOKENIZER)
    tokenizer = train_tokenizer(corpus, vocabulary)
    tokenizer.save(out / TOKENIZER)
    return tokenizer


def corpus_of(texts: Sequence[Path], conversations: bool) -> Iterator[str]:
    """The texts, or all messages of the conversations in them. A file is read when its first text is asked for."""
    from culet.lm.text_files import read_conversations, read_documents

    if conversations:
        yield from (message["content"] for messages in read_conversations(texts) for message in messages)
    else:
        yield from (document.text for document in read_documents(texts))


def read_rows(texts: Sequence[Path], tokenizer: "Tokenizer", length: int, conversations: bool) -> Any:
    """Packed rows of the texts, or of the conversations in them."""
    from rich.console import Console

    from culet.lm import answer_rows, text_rows
    from culet.lm.text_files import read_conversations, read_documents

    with Console(stderr=True).status("reading and packing texts"):
        if conversations:
            return answer_rows(list(read_conversations(texts)), tokenizer, length)
        return text_rows((document.text for document in read_documents(texts)), tokenizer, length)


def text_bytes(texts: Sequence[Path]) -> int:
    """UTF-8 bytes of all texts."""
    from culet.lm.text_files import read_documents

    return sum(len(document.text.encode()) for document in read_documents(texts))


def save(out: Path, model: Any, tokenizer: "Tokenizer") -> None:
    """Writes the model folder and prints what to do with it."""
    from culet.lm import save as save_folder

    save_folder(out, model, tokenizer)
    print(f"{out}: a model folder; try: culet generate {out} 'Once'")
