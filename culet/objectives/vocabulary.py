"""Losses over a large vocabulary taken a chunk at a time, so that its logits are never all in memory.

The backward pass computes each chunk's logits again. Where all logits fit into one chunk they are kept instead,
which saves one matrix product of four.

Axis letters: T tokens, V vocabulary, D width, C entries of the vocabulary in one chunk.
"""

import abc
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, DTypeLike, Float, Int

LOGIT_BYTES = 2**28
"""How large a chunk of logits may be, in bytes, where the caller names no chunk size."""


class Chunk(NamedTuple):
    """Entries `start` to `start + C` of the vocabulary. The last chunk overlaps the one before it to be as long."""

    start: Int[Array, ""]
    fresh: Bool[Array, "C"]
    """Which entries no earlier chunk held."""

    def place(self, ids: Int[Array, "..."]) -> tuple[Int[Array, "..."], Bool[Array, "..."]]:
        """Where in this chunk each id stands, and whether it does at all; the place of those that do not is C."""
        size = self.fresh.shape[0]
        local = ids.astype(self.start.dtype) - self.start
        inside = (local >= 0) & (local < size)
        return jnp.where(inside, local, size), inside


class Head(eqx.Module):
    """Hidden states and the embeddings that map them to logits, `cap * tanh(hidden @ embedding.T / cap)`.

    Products take the dtype of `hidden` and accumulate in float32 (in float64 for float64). The embeddings may stay
    in a wider dtype: each chunk is cast as it is read, and its gradient is not rounded to the narrower one.
    """

    hidden: Float[Array, "T D"]
    embedding: Float[Array, "V D"]
    cap: float | None = eqx.field(static=True)

    @property
    def dtype(self) -> DTypeLike:
        """The dtype of logits and of sums."""
        return np.promote_types(self.hidden.dtype, np.float32)

    def logits(self, chunk: Chunk) -> Float[Array, "T C"]:
        """The logits of one chunk."""
        logits = self._product(self.hidden, self._rows(chunk), 1, 1)
        return logits if self.cap is None else self.cap * jnp.tanh(logits / self.cap)

    def pull_back(
        self, logits: Float[Array, "T C"], slope: Float[Array, "T C"], chunk: Chunk
    ) -> tuple[Float[Array, "T D"], Float[Array, "C D"]]:
        """Gradients of hidden states and of the chunk's embeddings from the gradient (`slope`) of its logits."""
        if self.cap is not None:
            slope = slope * (1 - jnp.square(logits / self.cap))
        slope = jnp.where(chunk.fresh[None, :], slope, 0).astype(self.hidden.dtype)
        return self._product(slope, self._rows(chunk), 1, 0), self._product(slope, self.hidden, 0, 0)

    def _rows(self, chunk: Chunk) -> Float[Array, "C D"]:
        rows = jax.lax.dynamic_slice_in_dim(self.embedding, chunk.start, chunk.fresh.shape[0])
        return rows.astype(self.hidden.dtype)

    def _product(self, x: Array, y: Array, x_axis: int, y_axis: int) -> Array:
        return jax.lax.dot_general(x, y, (((x_axis,), (y_axis,)), ((), ())), preferred_element_type=self.dtype)


class LogSum(NamedTuple):
    """A running log of a sum of exponentials, kept as its largest term and the sum relative to it."""

    top: Float[Array, "T"]
    total: Float[Array, "T"]

    @staticmethod
    def empty(tokens: int, dtype: DTypeLike) -> "LogSum":
        """The log of an empty sum, minus infinity."""
        return LogSum(jnp.full(tokens, -jnp.inf, dtype), jnp.zeros(tokens, dtype))

    def raise_to(self, logits: Float[Array, "T C"], chunk: Chunk) -> tuple[Array, Array, Array]:
        """The new largest term, each logit's exponential relative to it (0 where not fresh), the shrinkage of old sums.

        Logits may be minus infinity, even all of them.
        """
        top = jnp.maximum(self.top, logits.max(axis=-1))
        reference = jnp.where(jnp.isfinite(top), top, 0)
        terms = jnp.where(chunk.fresh[None, :], jnp.exp(logits - reference[:, None]), 0)
        return top, terms, jnp.exp(self.top - reference)

    def add(self, logits: Float[Array, "T C"], chunk: Chunk) -> "LogSum":
        """With the fresh terms of a further chunk."""
        top, terms, shrinkage = self.raise_to(logits, chunk)
        return LogSum(top, self.total * shrinkage + terms.sum(axis=-1))

    def value(self) -> Float[Array, "T"]:
        """The log of the sum."""
        return self.top + jnp.log(self.total)


class Rule(eqx.Module):
    """A function of each token's logits, computed in one pass over the vocabulary.

    `logits` are those of every head for one chunk; the gradient goes to the first head alone.
    """

    @abc.abstractmethod
    def init(self, tokens: int, dtype: DTypeLike) -> Any:
        """Statistics before the first chunk."""

    @abc.abstractmethod
    def absorb(self, statistics: Any, logits: list[Array], chunk: Chunk) -> Any:
        """Statistics after a further chunk."""

    @abc.abstractmethod
    def values(self, statistics: Any) -> Any:
        """The function's values, arrays of shape `[T]`, from the final statistics."""

    @abc.abstractmethod
    def slope(self, statistics: Any, logits: list[Array], chunk: Chunk, weights: Any) -> Array:
        """The gradient `[T, C]` with respect to the first head's logits of the values, weighted and summed."""


def chunk_size(tokens: int, vocabulary: int, chunk: int | None) -> int:
    """The entries per chunk: `chunk`, or equal parts of which each has at most `LOGIT_BYTES` of float32 logits.

    Raises:
        ValueError: `chunk` is less than 1.
    """
    if chunk is not None:
        if chunk < 1:
            raise ValueError(f"chunk is {chunk}; it is a number of vocabulary entries, at least 1")
        return min(chunk, vocabulary)
    parts = -(-tokens * vocabulary * 4 // LOGIT_BYTES)
    return min(vocabulary, -(-vocabulary // max(1, parts) // 128) * 128)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def over_vocabulary(rule: Rule, heads: tuple[Head, ...], size: int) -> Any:
    """The values of `rule`, differentiable in reverse mode with respect to the first head."""
    return _forward(rule, heads, size)[0]


def _forward(rule: Rule, heads: tuple[Head, ...], size: int) -> tuple[Any, Any]:
    vocabulary = heads[0].embedding.shape[0]
    start = rule.init(heads[0].hidden.shape[0], heads[0].dtype)
    if size == vocabulary:
        kept = [head.logits(_whole(size)) for head in heads]
        statistics = rule.absorb(start, kept, _whole(size))
    else:
        kept = None
        statistics = _each_chunk(
            lambda statistics, chunk: rule.absorb(statistics, [head.logits(chunk) for head in heads], chunk),
            start, vocabulary, size,
        )  # fmt: skip
    return rule.values(statistics), (rule, heads, statistics, kept)


def _backward(size: int, residuals: Any, weights: Any) -> tuple[None, tuple[Head | None, ...]]:
    rule, heads, statistics, kept = residuals
    head = heads[0]

    def pull_back(logits, chunk):
        return head.pull_back(logits[0], rule.slope(statistics, logits, chunk, weights), chunk)

    def step(gradients, chunk):
        d_hidden, d_embedding = gradients
        more, rows = pull_back([each.logits(chunk) for each in heads], chunk)
        old = jax.lax.dynamic_slice_in_dim(d_embedding, chunk.start, size)  # rows seen before gain exactly 0
        rows = old + rows.astype(old.dtype)
        return d_hidden + more, jax.lax.dynamic_update_slice_in_dim(d_embedding, rows, chunk.start, 0)

    if kept is not None:
        d_hidden, d_embedding = pull_back(kept, _whole(size))
    else:
        start = (jnp.zeros(head.hidden.shape, head.dtype), jnp.zeros_like(head.embedding))
        d_hidden, d_embedding = _each_chunk(step, start, head.embedding.shape[0], size)
    gradient = Head(d_hidden.astype(head.hidden.dtype), d_embedding.astype(head.embedding.dtype), head.cap)
    return None, (gradient, *(None for _ in heads[1:]))


over_vocabulary.defvjp(_forward, _backward)


def _whole(size: int) -> Chunk:
    return Chunk(jnp.zeros((), jnp.int32), jnp.ones(size, bool))


def _each_chunk(step: Callable[[Any, Chunk], Any], state: Any, vocabulary: int, size: int) -> Any:
    def body(index, state):
        start = jnp.minimum(index * size, vocabulary - size)
        return step(state, Chunk(start, start + jnp.arange(size, dtype=start.dtype) >= index * size))

    return jax.lax.fori_loop(0, -(-vocabulary // size), body, state)
