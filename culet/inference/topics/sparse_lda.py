"""Sparse stochastic inference: the local step samples topics, and only what was sampled is added.

Mimno, Hoffman and Blei 2012. Within a document theta is integrated out, and the topic of each token is drawn by Gibbs
sampling given all others, p(z = k) ~ (alpha_k + N_dk) beta_kw. A few kept sweeps are the expected statistics: whole
numbers, most of them zero. The global parameters are eta + scale * counts, so that forgetting is one product and words
that a minibatch does not hold cost nothing.

Axis letters: R documents of a block, N token slots, S kept sweeps, K topics, V vocabulary.
"""

from functools import partial
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from culet.inference.topics.corpus import Block
from culet.inference.topics.dirichlet import exp_digamma
from culet.inference.topics.svi import Conjugate, Scalar

WordWeight = Literal["mean", "exp_log"]
_SMALLEST_SCALE = 1e-6  # then it is multiplied out, so that float32 neither overflows nor underflows


class SparseTopics(NamedTuple):
    """lambda = eta + scale * counts; `totals` are the sums of `counts` over words."""

    counts: Float[Array, "V K"]
    totals: Float[Array, "K"]
    scale: Float[Array, ""]


class SampledLDA(Conjugate[SparseTopics]):
    """LDA with known alpha and eta whose local step is Gibbs sampling.

    `word_weight` is what a word weighs in a topic: "exp_log", exp E[log beta] as the paper derives it, or "mean",
    E[beta]. With a small eta the first shuts words out of topics that have not met them yet (at eta = 0.02 by a factor
    e^-50).
    """

    alpha: Float[Array, "K"]
    eta: Scalar
    word_weight: WordWeight = eqx.field(static=True)
    burn_in: int = eqx.field(static=True)  # sweeps over the document before any is kept
    samples: int = eqx.field(static=True)  # sweeps that are kept

    def prior(self) -> Scalar:
        """Eta."""
        return self.eta

    def expectations(self, parameters: SparseTopics) -> SparseTopics:
        """The parameters themselves: beta is computed where a word stands."""
        return parameters

    def towards_prior(self, parameters: SparseTopics, rate: Scalar) -> SparseTopics:
        """(1 - rate) lambda + rate eta: a new scale."""
        counts, totals, scale = parameters
        scale = (1.0 - rate) * scale

        def multiplied() -> SparseTopics:
            return SparseTopics(scale * counts, scale * totals, jnp.ones(()))

        return lax.cond(scale < _SMALLEST_SCALE, multiplied, lambda: SparseTopics(counts, totals, scale))

    def local(self, expectations: SparseTopics, block: Block, key: Key[Array, ""]) -> Int[Array, "S N R"]:
        """Topics of every token of every document in the kept sweeps."""
        return sample_topics(
            word_weights(expectations, jnp.asarray(block.words), self.eta, self.word_weight),
            jnp.asarray(block.counts),
            self.alpha,
            key,
            self.burn_in,
            self.samples,
        )

    def add(
        self,
        parameters: SparseTopics,
        block: Block,
        expectations: SparseTopics,
        local: Int[Array, "S N R"],
        weight: Scalar,
    ) -> SparseTopics:
        """Lambda plus `weight` times the sampled counts, of which only the entries that are not zero are touched."""
        counts, totals, scale = parameters
        one = (weight / self.samples / scale) * jnp.broadcast_to(jnp.asarray(block.counts).T[None], local.shape)
        words = jnp.broadcast_to(jnp.asarray(block.words).T[None], local.shape)
        return SparseTopics(counts.at[words, local].add(one), totals.at[local].add(one), scale)


def word_weights(
    parameters: SparseTopics, words: Int[Array, "*shape"], eta: Scalar, word_weight: WordWeight
) -> Float[Array, "*shape K"]:
    """What each topic gives to each of these words: E[beta], or exp E[log beta]."""
    concentration = eta + parameters.scale * parameters.counts[words]
    total = parameters.counts.shape[0] * eta + parameters.scale * parameters.totals
    shape = (1,) * words.ndim + total.shape
    if word_weight == "mean":
        return concentration / total.reshape(shape)
    return exp_digamma(concentration) / exp_digamma(total).reshape(shape)


@partial(jax.jit, static_argnames=("burn_in", "samples"))
def sample_topics(
    weights: Float[Array, "R N K"],
    real: Float[Array, "R N"],
    alpha: Float[Array, "K"],
    key: Key[Array, ""],
    burn_in: int,
    samples: int,
) -> Int[Array, "S N R"]:
    """Collapsed Gibbs sweeps over the tokens of each document; those where `real` is 0 do not count.

    The first sweep gives each token its first topic, knowing of those before it only.
    """
    tokens = jnp.swapaxes(weights, 0, 1) + 1e-30  # so that a word shut out of every topic still has one
    counted = real.T[:, :, None]
    uniform = jax.random.uniform(key, (burn_in + samples, *real.T.shape))
    topics = jnp.arange(len(alpha))
    up_to = (topics[:, None] <= topics[None, :]).astype(weights.dtype)  # a cumulative sum as a product: faster

    def draw(counts: Float[Array, "R K"], token: tuple) -> tuple[Float[Array, "R K"], Int[Array, "R"]]:
        weight, before, is_real, u = token
        counts = counts - is_real * jax.nn.one_hot(before, len(alpha))  # -1, no topic yet, is all zeros
        reached = ((alpha[None, :] + counts) * weight) @ up_to
        drawn = jnp.sum(reached < u[:, None] * reached[:, -1:], axis=1)
        return counts + is_real * jax.nn.one_hot(drawn, len(alpha)), drawn

    def sweep(state: tuple, u: Float[Array, "N R"]) -> tuple[tuple, Int[Array, "N R"]]:
        counts, before = state
        counts, drawn = lax.scan(draw, counts, (tokens, before, counted, u))
        return (counts, drawn), drawn

    start = (jnp.zeros((real.shape[0], len(alpha))), jnp.full(real.T.shape, -1))
    state, _ = lax.scan(sweep, start, uniform[:burn_in])
    _, kept = lax.scan(sweep, state, uniform[burn_in:])
    return kept


def empty_topics(vocabulary: int, topics: int) -> SparseTopics:
    """Lambda = eta: nothing seen yet. What the first documents draw tells the topics apart."""
    return SparseTopics(jnp.zeros((vocabulary, topics)), jnp.zeros(topics), jnp.ones(()))


def dense(parameters: SparseTopics, eta: Scalar) -> Float[Array, "V K"]:
    """Lambda."""
    return eta + parameters.scale * parameters.counts
