"""Text from text: prompts to completions, whole or token by token.

Axis letters: B prompts, P tokens of a prompt.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard, overload

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from culet.core.keys import as_key
from culet.lm.decode import advance, start
from culet.lm.decoder import Decoder
from culet.lm.sampling import Sampling
from culet.lm.tokenizers.tokenizer import StreamDecoder, Tokenizer

STRIDE = 16  # tokens between two looks for stop strings

# Text, to which the tokenizer adds one BOS, or token ids, taken as they are.
Prompt = str | Sequence[int] | Int[np.ndarray, "P"] | Int[Array, "P"]
# A seed, a key from which each prompt gets its own, or a key for each prompt.
Keys = int | np.integer | Key[Array, "..."]


class Completion(NamedTuple):
    """What the model wrote after one prompt, without the stop token or stop string that ended it."""

    text: str
    tokens: list[int]
    log_probabilities: list[float]  # of each token under the model at temperature 1
    finish: str  # "stop", or "length" when the limit was reached


class Piece(NamedTuple):
    """One token of a completion that is being written, and the text that is certain with it."""

    text: str  # "" while a character lacks bytes, or while the text could be the beginning of a stop string
    token: int | None  # None in a last piece that only says that the completion has ended
    log_probability: float | None  # of the token under the model at temperature 1
    finish: str | None  # None until the last piece, then "stop" or "length"
    prompt: int = 0  # number of the prompt that is being completed


@overload
def generate(model: Decoder, tokenizer: Tokenizer, prompt: Prompt, **options: Any) -> Completion: ...


@overload
def generate(model: Decoder, tokenizer: Tokenizer, prompt: Sequence[Prompt], **options: Any) -> list[Completion]: ...


def generate(  # pyright: ignore[reportInconsistentOverload]: the overloads' options are these
    model: Decoder,
    tokenizer: Tokenizer,
    prompt: Prompt | Sequence[Prompt],
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    stop: Sequence[str] = (),
    stop_ids: Sequence[int] | None = None,
    key: Keys = 0,
) -> Completion | list[Completion]:
    """The completion of one prompt, or a list of completions of a list of prompts, which run as one batch.

    A prompt is text, to which the tokenizer adds one BOS, or a sequence of token ids, taken as they are. The prompts of
    a batch do not influence each other. Generation ends at any of `stop_ids` (by default the tokenizer's own: EOS and
    end of turn), when one of the strings in `stop` appears, or after `max_new_tokens`.

    `temperature` 0 takes the likeliest token and ignores `key`. `key` is a seed or a JAX key, from which each prompt
    gets its own by its number, or an array of keys, one for each prompt. The same key gives the same completion.
    For the filters see `culet.lm.sampling.Sampling`.

    Raises ValueError for an empty prompt, a prompt that does not fit the context of a model with global attention, a
    token outside the vocabulary, numbers out of range, and logits that are not finite.
    """
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty, tokenizer.vocabulary)
    one = _is_one(prompt)
    batch = _Batch(model, tokenizer, [prompt] if one else prompt, max_new_tokens, sampling, stop, stop_ids, key)
    while batch.advance(STRIDE if stop else max_new_tokens):
        pass
    completions = [
        Completion(writing.text, writing.tokens, writing.log_probabilities, writing.finish or "length")
        for writing in batch.completions
    ]
    return completions[0] if one else completions


def stream(model: Decoder, tokenizer: Tokenizer, prompt: Prompt, **options: Any) -> Iterator[Piece]:
    """The completion of one prompt, a `Piece` for each token as it comes. Options and errors as for `generate`.

    The texts of the pieces, joined, are the text that `generate` returns, and their tokens are its tokens; the last
    piece alone has a `finish`. Where a stop string may just have begun, text and tokens are held back.
    """
    yield from stream_batch(model, tokenizer, [prompt], **options)


def stream_batch(
    model: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int = 64,
    stop: Sequence[str] = (),
    stop_ids: Sequence[int] | None = None,
    key: Keys = 0,
    **sampling: Any,
) -> Iterator[Piece]:
    """As `stream`, for several prompts: pieces come interleaved, and `prompt` is the number of their prompt."""
    chosen = Sampling(**sampling, vocabulary=tokenizer.vocabulary)
    batch = _Batch(model, tokenizer, prompts, max_new_tokens, chosen, stop, stop_ids, key)
    running = True
    while running:
        running = batch.advance(1)
        for number, writing in enumerate(batch.completions):
            for piece in writing.take():
                yield piece._replace(prompt=number)


def _is_one(prompt: Prompt | Sequence[Prompt]) -> TypeGuard[Prompt]:
    """Whether this is one prompt (text, or a sequence of whole numbers) rather than several."""
    return isinstance(prompt, str) or (len(prompt) > 0 and np.ndim(prompt[0]) == 0 and not isinstance(prompt[0], str))


class _Batch:
    """A running generation as seen from the host: tokens become text, and stop strings are looked for."""

    def __init__(self, model, tokenizer, prompts, max_new_tokens, sampling, stop, stop_ids, key):
        if isinstance(prompts, str):
            raise ValueError("prompts is one string; give a list of prompts, or use stream")
        if isinstance(stop, str):
            raise ValueError("stop is one string; give a list of strings")
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {max_new_tokens}; it must be at least 1")
        if "" in stop:
            raise ValueError("a stop string is empty; it would stop every completion at once")
        encoded = [_encode(tokenizer, prompt, number) for number, prompt in enumerate(prompts)]
        if not encoded:
            raise ValueError("there are no prompts: the list is empty")
        _check(model, encoded, max_new_tokens)
        self.model, self.sampling, self.limit, self.written = model, sampling, max_new_tokens, 0
        self.completions = [_Writing(tokenizer, stop) for _ in encoded]
        self.stop_ids = jnp.asarray(list(tokenizer.stop_ids if stop_ids is None else stop_ids) or [-1], jnp.int32)
        penalised = sampling.repetition_penalty is not None
        self.decoding = start(model, encoded, max_new_tokens, _keys(key, len(encoded)), track_seen=penalised)

    def advance(self, steps: int) -> bool:
        """Writes up to `steps` more tokens for each prompt; whether there is more to come."""
        before, self.written = self.written, min(self.written + steps, self.limit)
        steps = self.written - before
        decoding = self.decoding = advance(self.model, self.decoding, self.sampling, self.stop_ids, steps)
        tokens, log_probabilities, lengths, done = jax.device_get(
            (decoding.tokens, decoding.log_probabilities, decoding.lengths, decoding.done)
        )
        for number, writing in enumerate(self.completions):
            if writing.finish is not None:
                continue
            finite = np.isfinite(log_probabilities[number, before : self.written])
            if not finite.all():
                place = before + int(finite.argmin())
                raise ValueError(f"the logits after prompt {number} are not finite at token {place}; check the weights")
            for at in range(before, lengths[number]):
                writing.push(int(tokens[number, at]), float(log_probabilities[number, at]))
            if done[number] or self.written == self.limit:
                writing.end("stop" if done[number] else "length")
        ended = np.array([writing.finish is not None for writing in self.completions])
        if (ended & ~done).any():
            self.decoding = eqx.tree_at(lambda d: d.done, decoding, jnp.asarray(ended))
        return not ended.all()


class _Writing:
    """The completion of one prompt so far. Nothing follows once `finish` is not None."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str]):
        self.decoder = StreamDecoder(tokenizer)
        self.stop = stop
        self.text, self.text_taken, self.tokens_taken = "", 0, 0
        self.tokens: list[int] = []
        self.log_probabilities: list[float] = []
        self.lengths: list[int] = []  # of the text after each token
        self.finish: str | None = None
        self.ended = False  # whether the piece with `finish` was taken

    def push(self, token: int, log_probability: float) -> None:
        if self.finish is None:
            self.tokens.append(token)
            self.log_probabilities.append(log_probability)
            self._add(self.decoder.push(token))
            self.lengths.append(len(self.text))

    def end(self, finish: str) -> None:
        if self.finish is None:
            self._add(self.decoder.finish())
            self.finish = self.finish or finish

    def take(self) -> Iterator[Piece]:
        """What is new since the last time and certain: no stop string can still take it back."""
        if self.ended:
            return
        certain = len(self.text) if self.finish or not self.stop else _certain(self.text, self.stop)
        count = len(self.tokens) if self.finish or not self.stop else self._covering(certain)
        for at in range(self.tokens_taken, count):
            last = self.finish is not None and at == count - 1
            text = self._take_text(certain if last else min(self.lengths[at], certain))
            yield Piece(text, self.tokens[at], self.log_probabilities[at], self.finish if last else None)
            self.ended = last
        self.tokens_taken = count
        if self.finish is not None and not self.ended:
            self.ended = True
            yield Piece(self._take_text(certain), None, None, self.finish)

    def _take_text(self, end: int) -> str:
        text, self.text_taken = self.text[self.text_taken : end], max(self.text_taken, end)
        return text

    def _covering(self, length: int) -> int:
        """How many tokens it takes to write the first `length` characters: all that begin before them."""
        return min(sum(written < length for written in self.lengths) + 1, len(self.tokens)) if length else 0

    def _add(self, text: str) -> None:
        """Lengthens the text. If that completes a stop string, cuts text and tokens back to where it began."""
        self.text += text
        new = len(self.text) - len(text)
        places = [self.text.find(string, max(0, new - len(string) + 1)) for string in self.stop]
        places = [place for place in places if place >= 0]
        if places:
            self.text, self.finish = self.text[: min(places)], "stop"
            count = self._covering(len(self.text))
            del self.tokens[count:], self.log_probabilities[count:]


def _encode(tokenizer, prompt: Prompt, number: int) -> list[int]:
    if len(prompt) == 0:
        raise ValueError(f"prompt {number} is empty; give at least one character or token")
    return tokenizer.encode(prompt) if isinstance(prompt, str) else [int(token) for token in prompt]


def _check(model: Decoder, prompts: list[list[int]], new_tokens: int) -> None:
    config = model.config
    for number, tokens in enumerate(prompts):
        wrong = [token for token in tokens if not 0 <= token < config.vocabulary]
        if wrong:
            raise ValueError(f"prompt {number} has token {wrong[0]}, outside the vocabulary of {config.vocabulary}")
        if "G" in config.kinds and len(tokens) + new_tokens > config.context:
            raise ValueError(
                f"prompt {number} has {len(tokens)} tokens and {new_tokens} are to follow, "
                f"but the model's context is {config.context}; shorten the prompt or ask for fewer tokens"
            )


def _keys(key: Keys, prompts: int) -> Key[Array, "B"]:
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim > 0:
        if key.shape != (prompts,):
            raise ValueError(f"there are {prompts} prompts but {key.shape[0]} keys; give one key, or one per prompt")
        return key
    return jax.vmap(jax.random.fold_in, (None, 0))(as_key(key), jnp.arange(prompts))


def _certain(text: str, stop: Sequence[str]) -> int:
    """How much of a running text cannot become part of a stop string."""
    starts = (len(text) - size for string in stop for size in range(1, len(string)) if text.endswith(string[:size]))
    return min(starts, default=len(text))
