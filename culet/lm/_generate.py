"""Text from text: prompts to completions, whole or as they come.

Axis letters: B rows.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from culet.lm.decode import advance, start
from culet.lm.decoder import Decoder
from culet.lm.sampling import Sampling
from culet.lm.tokenizers.tokenizer import StreamDecoder, Tokenizer

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
    tokenizer: Tokenizer,
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
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty, tokenizer.vocabulary)
    batch = _Batch(model, tokenizer, prompts, max_new_tokens, sampling, stop, stop_ids, key)
    while batch.advance(STRIDE if stop else max_new_tokens):
        pass
    return [Completion(row.text, row.tokens, row.logprobs, row.finish or "length") for row in batch.rows]


def stream(model: Decoder, tokenizer: Tokenizer, prompt: str | Sequence[int], **options) -> Iterator[str]:
    """The completion of one prompt piece by piece, as soon as its characters are certain. Options as for `generate`."""
    for piece in stream_batch(model, tokenizer, [prompt], **options):
        yield piece.text


def stream_batch(
    model: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[str | Sequence[int]],
    *,
    max_new_tokens: int = 64,
    stop: Sequence[str] = (),
    stop_ids: Sequence[int] | None = None,
    key: Key[Array, "..."] | None = None,
    **sampling: Any,
) -> Iterator[Piece]:
    """The completions of several prompts, interleaved as they come. Options as for `generate`.

    The pieces of a row, joined, are the text that `generate` returns. A piece that could be the beginning of a stop
    string is held back until it is certain.
    """
    chosen = Sampling(**sampling, vocabulary=tokenizer.vocabulary)
    batch = _Batch(model, tokenizer, prompts, max_new_tokens, chosen, stop, stop_ids, key)
    running = True
    while running:
        running = batch.advance(1)
        for number, row in enumerate(batch.rows):
            if piece := row.take():
                yield Piece(number, piece)


class _Batch:
    """A running generation as seen from the host: tokens become text, and stop strings are found."""

    def __init__(self, model, tokenizer, prompts, max_new_tokens, sampling, stop, stop_ids, key):
        if isinstance(prompts, str):
            raise ValueError("prompts is one string; give a list of prompts")
        if isinstance(stop, str):
            raise ValueError("stop is one string; give a list of strings")
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {max_new_tokens}; it must be at least 1")
        if "" in stop:
            raise ValueError("a stop string is empty; it would stop every completion at once")
        encoded = [_encode(tokenizer, prompt, row) for row, prompt in enumerate(prompts)]
        if not encoded:
            raise ValueError("there are no prompts")
        _check(model, encoded, max_new_tokens)
        self.model, self.sampling, self.limit, self.written = model, sampling, max_new_tokens, 0
        self.rows = [_Row(tokenizer, stop) for _ in encoded]
        self.stop_ids = jnp.asarray(list(tokenizer.stop_ids if stop_ids is None else stop_ids) or [-1], jnp.int32)
        penalised = sampling.repetition_penalty is not None
        self.decoding = start(model, encoded, max_new_tokens, _keys(key, len(encoded)), track_seen=penalised)

    def advance(self, steps: int) -> bool:
        """Writes up to `steps` more tokens per row; whether there is more to come."""
        before, self.written = self.written, min(self.written + steps, self.limit)
        steps = self.written - before
        decoding = self.decoding = advance(self.model, self.decoding, self.sampling, self.stop_ids, steps)
        tokens, logprobs, lengths, done = jax.device_get(
            (decoding.tokens, decoding.log_probabilities, decoding.lengths, decoding.done)
        )
        for number, row in enumerate(self.rows):
            if row.finish is not None:
                continue
            if not np.isfinite(found := logprobs[number, before : self.written]).all():
                place = before + int(np.isfinite(found).argmin())
                raise ValueError(f"the logits after prompt {number} are not finite at token {place}; check the weights")
            for at in range(before, lengths[number]):
                row.push(int(tokens[number, at]), float(logprobs[number, at]))
            if done[number] or self.written == self.limit:
                row.end("stop" if done[number] else "length")
        ended = np.array([row.finish is not None for row in self.rows])
        if (ended & ~done).any():
            self.decoding = eqx.tree_at(lambda d: d.done, decoding, jnp.asarray(ended))
        return not ended.all()


class _Row:
    """What one row has said. Nothing follows once `finish` is not None."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str]):
        self.decoder = StreamDecoder(tokenizer)
        self.stop = stop
        self.text, self.taken = "", 0
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.lengths: list[int] = []  # of the text after each token
        self.finish: str | None = None

    def push(self, token: int, logprob: float) -> None:
        if self.finish is None:
            self.tokens.append(token)
            self.logprobs.append(logprob)
            self._add(self.decoder.push(token))
            if self.finish is None:
                self.lengths.append(len(self.text))

    def end(self, finish: str) -> None:
        if self.finish is None:
            self._add(self.decoder.finish())
            self.finish = self.finish or finish

    def take(self) -> str:
        """What is new since the last time and certain: it cannot be the beginning of a stop string."""
        certain = len(self.text) if self.finish else _certain(self.text, self.stop)
        piece, self.taken = self.text[self.taken : certain], max(self.taken, certain)
        return piece

    def _add(self, piece: str) -> None:
        """Lengthens the text. If that completes a stop string, cuts text and tokens back to where it began."""
        self.text += piece
        new = len(self.text) - len(piece)
        found = [self.text.find(string, max(0, new - len(string) + 1)) for string in self.stop]
        cuts = [place for place in found if place >= 0]
        if cuts:
            self.text, self.finish = self.text[: min(cuts)], "stop"
            count = sum(length < len(self.text) for length in self.lengths) + 1 if self.text else 0
            del self.tokens[count:], self.logprobs[count:]


def _encode(tokenizer, prompt: str | Sequence[int], row: int) -> list[int]:
    if len(prompt) == 0:
        raise ValueError(f"prompt {row} is empty")
    return tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)


def _check(model: Decoder, rows: list[list[int]], new_tokens: int) -> None:
    config = model.config
    for row, tokens in enumerate(rows):
        wrong = [token for token in tokens if not 0 <= token < config.vocabulary]
        if wrong:
            raise ValueError(f"prompt {row} has token {wrong[0]}, outside the vocabulary of {config.vocabulary}")
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


def _certain(text: str, stop: Sequence[str]) -> int:
    """How much of a running text cannot become part of a stop string."""
    starts = (len(text) - size for string in stop for size in range(1, len(string)) if text.endswith(string[:size]))
    return min(starts, default=len(text))
