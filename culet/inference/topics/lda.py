"""Latent Dirichlet allocation: the local step, the global statistics and the bound.

Blei, Ng and Jordan 2003; as an instance of stochastic variational inference Hoffman, Blei and Bach 2010 and Hoffman et
al. 2013, section 3.2. Topics beta_k ~ Dirichlet(eta) over words; in each document theta ~ Dirichlet(alpha), and every
word comes from topic z ~ theta. Responsibilities of topics for words are never kept: they are products of two factors.

Axis letters: R documents of a block, W word slots, K topics, V vocabulary.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from culet.distributions import Dirichlet, kl_divergence
from culet.inference.topics.corpus import Block
from culet.inference.topics.dirichlet import digamma, exp_digamma
from culet.inference.topics.svi import Conjugate, Scalar

_TINY = 1e-30  # below what any word's probability comes to, so that a padded slot divides by something


class Local(NamedTuple):
    """The posterior Dirichlet(gamma) of each document's topics, and the factors of its responsibilities.

    Topic k has the share `ratio[w] * weight[k] * beta[w, k]` of the tokens of word w.
    """

    gamma: Float[Array, "*R K"]
    weight: Float[Array, "*R K"]
    ratio: Float[Array, "*R W"]


class LatentDirichlet(Conjugate[Float[Array, "V K"]]):
    """LDA with known alpha [K] and eta; its parameters are the concentrations lambda [V, K] of the topics."""

    alpha: Float[Array, "K"]
    eta: Scalar
    tolerance: Scalar  # a document has converged when gamma moves by less than this, on average over topics
    iterations: int  # and is left there after so many

    def prior(self) -> Scalar:
        """Eta."""
        return self.eta

    def expectations(self, parameters: Float[Array, "V K"]) -> Float[Array, "V K"]:
        """Exp E[log beta], for each word relative to its largest: what is common to all topics has no effect."""
        log_beta = digamma(parameters) - digamma(jnp.sum(parameters, axis=0))[None, :]
        return jnp.exp(log_beta - jnp.max(log_beta, axis=1, keepdims=True))

    def local(self, expectations: Float[Array, "V K"], block: Block, key: Key[Array, ""]) -> Local:
        """The posterior of theta for each document; `key` is not needed."""
        each = jax.vmap(infer, in_axes=(0, 0, None, None, None))
        return each(expectations[block.words], jnp.asarray(block.counts), self.alpha, self.tolerance, self.iterations)

    def add(
        self,
        parameters: Float[Array, "V K"],
        block: Block,
        expectations: Float[Array, "V K"],
        local: Local,
        weight: Scalar,
    ) -> Float[Array, "V K"]:
        """Lambda plus `weight` times the expected number of times each topic was the source of each word."""
        tokens = local.ratio[:, :, None] * local.weight[:, None, :] * expectations[block.words]
        return parameters.at[block.words].add(weight * tokens)


def infer(
    beta: Float[Array, "W K"],
    counts: Float[Array, "W"],
    alpha: Float[Array, "K"],
    tolerance: Scalar,
    iterations: Int[Array, ""] | int,
    start: Float[Array, "K"] | None = None,
) -> Local:
    """Coordinate ascent on q(theta) and q(z) of one document until gamma changes by less than `tolerance`.

    The change is the mean over topics of the absolute difference. Under `vmap` each document stops by itself. `beta`
    may be exp E[log beta] of the document's words or their probabilities, with any factor per word. `start` is where
    gamma begins; by default each topic has alpha and an equal part of the tokens.
    """
    if start is None:
        start = alpha + jnp.sum(counts) / alpha.shape[0]

    def factors(gamma: Float[Array, "K"]) -> tuple[Float[Array, "K"], Float[Array, "W"]]:
        weight = exp_digamma(gamma)
        return weight, counts / (beta @ weight + _TINY)

    def move(state: tuple) -> tuple:
        gamma, _, count = state
        weight, ratio = factors(gamma)
        moved = alpha + weight * (ratio @ beta)
        return moved, jnp.mean(jnp.abs(moved - gamma)), count + 1

    def going(state: tuple) -> Array:
        return (state[1] >= tolerance) & (state[2] < iterations)

    gamma, _, _ = lax.while_loop(going, move, (start, jnp.asarray(jnp.inf), 0))
    return Local(gamma, *factors(gamma))


def bound(
    parameters: Float[Array, "V K"], block: Block, gamma: Float[Array, "R K"], alpha: Float[Array, "K"]
) -> Float[Array, ""]:
    """The part of the evidence lower bound that belongs to a block's documents, in nats, at the best q(z).

    The whole bound is the sum over blocks minus `global_divergence`.
    """
    log_beta = (digamma(parameters) - digamma(jnp.sum(parameters, axis=0))[None, :])[block.words]
    theta = Dirichlet(gamma)
    words = jax.nn.logsumexp(theta.expected_log()[:, None, :] + log_beta, axis=-1)
    empty = jnp.sum(jnp.asarray(block.counts), axis=1) == 0
    divergence = kl_divergence(theta, Dirichlet(alpha))
    return jnp.sum(block.counts * words) - jnp.sum(jnp.where(empty, 0.0, divergence))


def global_divergence(parameters: Float[Array, "V K"], eta: Scalar) -> Float[Array, ""]:
    """KL(q(beta) || p(beta)) in nats, over all topics."""
    return jnp.sum(kl_divergence(Dirichlet(parameters.T), Dirichlet(jnp.full(parameters.shape[0], eta))))


def initial(key: Key[Array, ""], vocabulary: int, topics: int) -> Float[Array, "V K"]:
    """Concentrations near 1 that tell the topics apart, Gamma(100, 1/100), as Hoffman, Blei and Bach draw them."""
    normal = jax.random.normal(key, (vocabulary, topics))
    return jnp.exp(0.1 * normal)  # the same to within a few per cent, and drawn at once


def share_of_tokens(parameters: Float[Array, "V K"], eta: Scalar) -> Float[Array, "K"]:
    """Which part of all tokens each topic explains."""
    mass = jnp.maximum(jnp.sum(parameters - eta, axis=0), 0.0)
    return mass / jnp.sum(mass)
