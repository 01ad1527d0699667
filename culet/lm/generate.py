"""Text from text: prompts to completions, whole or as they come.

Axis letters: B rows.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from culet.lm.decode import Decoding, advance, start
from culet.lm.decoder import Decoder
from culet.lm.sampling import Sampling

if TYPE_CHECKING:
    from culet.lm.tokenizer import Tokenizer

STRIDE = 16  # tokens between two looks for stop strings


class Completion(NamedTuple):
    """What the model wrote after one prompt, without the stop token or stop string that ended it."""

    text: str
    tokens: list[int]
    logprobs: list[float]  # of each token under the model at temperature 1
    finish: str  # "stop", or "length" when the limit was reached


class Piece(NamedTuple):
    """A further piece of the completion of prompt number `row`."""

    row: int
    text: str


def generate(
    model: Decoder,
    tokenizer: "Tokenizer",
    prompts: Sequence[str | Sequence[int]],
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    stop: Sequence[str] = (),
    stop_ids: Sequence[int] | None = None,
    key: Key[Array, "..."] | None = None,
) -> list[Completion]:
    """Completes each prompt; rows of a batch do not touch each other.

    A prompt is text, to which the tokenizer adds one BOS, or token ids, taken as they are. Generation ends at any of
    `stop_ids` (by default the tokenizer's own: EOS and end of turn), when one of the strings in `stop` appears, or
    after `max_new_tokens`. `key` is one key for all, split by row, or one per prompt; None stands for seed 0. The same
    key gives the same completion.

    Raises ValueError for an empty prompt, a prompt that does not fit the context of a model with global attention, a
    token outside the vocabulary, numbers out of range, and logits that are not finite.
    """
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    batch = _Batch(model, tokenizer, prompts, max_new_tokens, sampling, stop, stop_ids, key)
    while batch.advance(STRIDE if stop else max_new_tokens):
        pass
    return [batch.completion(row) for row in range(len(prompts))]


def stream(model: Decoder, tokenizer: "Tokenizer", prompt: str | Sequence[int], **options) -> Iterator[str]:
    """The completion of one prompt piece by piece, as soon as its characters are certain. Options as for `generate`."""
    for piece in stream_batch(model, tokenizer, [prompt], **options):
        yield piece.text


def stream_batch(
    model: Decoder,
    tokenizer: "Tokenizer",
    prompts: Sequence[str | Sequence[int]],
    *,
    max_new_tokens: int = 64,
    stop: Sequence[str] = (),
    stop_ids: Sequence[int] | None = None,
    key: Key[Array, "..."] | None = None,
    **sampling: float | int | None,
) -> Iterator[Piece]:
    """The completions of several prompts, interleaved as they come. Options as for `generate`.

    The pieces of a row, joined, are the text that `generate` returns. A piece that could be the beginning of a stop
    string is held back until it is certain.
    """
    batch = _Batch(model, tokenizer, prompts, max_new_tokens, Sampling(**sampling), stop, stop_ids, key)  # type: ignore[arg-type]
    sent = [0] * len(prompts)
    running = True
    while running:
        running = batch.advance(1)
        for row in range(len(prompts)):
            text, ended = batch.text(row)
            certain = len(text) if ended or not running else _certain(text, stop)
            if certain > sent[row]:
                yield Piece(row, text[sent[row] : certain])
                sent[row] = certain


class _Batch:
    """A running generation as seen from the host: tokens become text, and stop strings are found."""

    def __init__(self, model, tokenizer, prompts, max_new_tokens, sampling, stop, stop_ids, key):
        if isinstance(prompts, str):
            raise ValueError("prompts is one string; give a list of prompts")
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {max_new_tokens}; it must be at least 1")
        if "" in stop:
            raise ValueError("a stop string is empty; it would stop every completion at once")
        rows = [_encode(tokenizer, prompt, row) for row, prompt in enumerate(prompts)]
        if not rows:
            raise ValueError("there are no prompts")
        _check(model, rows, max_new_tokens)
        self.model, self.tokenizer, self.sampling, self.stop = model, tokenizer, sampling, tuple(stop)
        self.limit = max_new_tokens
        self.stop_ids = jnp.asarray(list(tokenizer.stop_ids if stop_ids is None else stop_ids) or [-1], jnp.int32)
        penalised = sampling.repetition_penalty is not None
        self.decoding = start(model, rows, max_new_tokens, _keys(key, len(rows)), track_seen=penalised)
        self.written = 0

    def advance(self, steps: int) -> bool:
        """Writes up to `steps` more tokens per row; whether there is more to come."""
        self.written = min(self.written + steps, self.limit)
        self.decoding = advance(self.model, self.decoding, self.sampling, self.stop_ids, self.written)
        if self.stop:
            stopped = np.array([self.text(row)[1] for row in range(self.decoding.done.shape[0])])
            self.decoding = _mark_done(self.decoding, stopped)
        return self.written < self.limit and not bool(jnp.all(self.decoding.done))

    def text(self, row: int) -> tuple[str, bool]:
        """The text of a row so far, cut at a stop string, and whether the row has ended."""
        length = int(self.decoding.lengths[row])
        text = self.tokenizer.decode(np.asarray(self.decoding.tokens[row, :length]).tolist())
        cuts = [found for string in self.stop if (found := text.find(string)) >= 0]
        ended = bool(cuts) or bool(self.decoding.done[row])
        return (text[: min(cuts)] if cuts else text), ended

    def completion(self, row: int) -> Completion:
        """The finished row. Tokens are cut where the text is cut, at the first that reaches the stop string."""
        text, ended = self.text(row)
        length = int(self.decoding.lengths[row])
        tokens = np.asarray(self.decoding.tokens[row, :length]).tolist()
        if len(self.tokenizer.decode(tokens)) > len(text):
            while tokens and len(self.tokenizer.decode(tokens[:-1])) >= len(text):
                tokens.pop()
        logprobs = np.asarray(self.decoding.log_probabilities[row, : len(tokens)])
        if not np.isfinite(logprobs).all():
            place = int(np.isfinite(logprobs).argmin())
            raise ValueError(f"the model's logits are not finite at token {place} of prompt {row}; are its weights?")
        return Completion(text, tokens, logprobs.tolist(), "stop" if ended else "length")


def _encode(tokenizer, prompt: str | Sequence[int], row: int) -> list[int]:
    if len(prompt) == 0:
        raise ValueError(f"prompt {row} is empty")
    return tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)


def _check(model: Decoder, rows: list[list[int]], new_tokens: int) -> None:
    config = model.config
    for row, tokens in enumerate(rows):
        if min(tokens) < 0 or max(tokens) >= config.vocabulary:
            raise ValueError(f"prompt {row} has token {max(tokens)}, outside the vocabulary of {config.vocabulary}")
        if "G" in config.kinds and len(tokens) + new_tokens > config.context:
            raise ValueError(
                f"prompt {row} has {len(tokens)} tokens and {new_tokens} are to follow, "
                f"but the model's context is {config.context}; shorten the prompt or ask for fewer tokens"
            )


def _keys(key: Key[Array, "..."] | None, rows: int) -> Key[Array, "B"]:
    key = jax.random.key(0) if key is None else key
    if key.ndim == 0:
        return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(rows))
    if key.shape != (rows,):
        raise ValueError(f"there are {rows} prompts but {key.shape[0]} keys; give one key, or one per prompt")
    return key


def _mark_done(decoding: Decoding, stopped: np.ndarray) -> Decoding:
    return eqx.tree_at(lambda d: d.done, decoding, decoding.done | jnp.asarray(stopped))


def _certain(text: str, stop: Sequence[str]) -> int:
    """How much of a running text cannot become part of a stop string, nor of a character that is still incomplete."""
    end = len(text.rstrip("\N{REPLACEMENT CHARACTER}"))
    for string in stop:
        for size in range(min(len(string) - 1, end), 0, -1):
            if text[:end].endswith(string[:size]):
                end = min(end, len(text) - size)
                break
    return end
