"""The hierarchical Dirichlet process topic model, which infers how many topics a corpus needs.

Wang, Paisley and Blei 2011; Hoffman et al. 2013, section 3.3. The corpus has sticks sigma(v), v_k ~ Beta(1, gamma),
over endlessly many topics, of which the first T are kept. A document has tables t, each of which serves one topic c_t ~
sigma(v), and sticks of its own sigma(pi), pi_t ~ Beta(1, alpha), over them; a word comes from table z ~ sigma(pi).

Axis letters: R documents of a block, W word slots, S tables, T topics at most, V vocabulary.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from culet.inference.topics.corpus import Block
from culet.inference.topics.dirichlet import digamma, expected_log_sticks, mean_sticks
from culet.inference.topics.svi import Conjugate, Scalar


class HDPParameters(NamedTuple):
    """q(beta_k) = Dirichlet(words[:, k]), and the expected number of tables that serve each topic.

    The parameters of the corpus's sticks, u_k = 1 + tables_k and v_k = gamma + (tables of the topics behind k), are
    linear in these numbers, so a natural step on one is a natural step on the other. Topics stand on the sticks by
    falling size; kept so, they need no sorting when that order changes. With gamma = 1 no other order has a higher
    bound; with another, one may that has a different topic last, where there is no stick of its own.
    """

    words: Float[Array, "V T"]
    tables: Float[Array, "T"]


class HDPExpectations(NamedTuple):
    """E[log beta] and E[log sigma(v)]."""

    log_beta: Float[Array, "V T"]
    log_sigma: Float[Array, "T"]


class Tables(NamedTuple):
    """q(z): the table of each word, and q(c): the topic of each table."""

    table_of_word: Float[Array, "*R W S"]
    topic_of_table: Float[Array, "*R S T"]


class HierarchicalDirichlet(Conjugate[HDPParameters]):
    """The HDP with known concentrations of documents (alpha), corpus (gamma) and topics (eta)."""

    alpha: Scalar
    gamma: Scalar
    eta: Scalar
    tolerance: Scalar  # a document has converged when fewer tokens per topic than this change tables
    iterations: int
    tables: int = eqx.field(static=True)

    def prior(self) -> HDPParameters:
        """Eta for words, no tables."""
        return HDPParameters(jnp.asarray(self.eta), jnp.zeros(()))

    def expectations(self, parameters: HDPParameters) -> HDPExpectations:
        """E[log beta] and E[log sigma(v)], the topics standing by size."""
        log_beta = digamma(parameters.words) - digamma(jnp.sum(parameters.words, axis=0))[None, :]
        order = jnp.argsort(-parameters.tables)
        sticks = expected_log_sticks(parameters.tables[order], self.gamma)
        return HDPExpectations(log_beta, jnp.zeros_like(sticks).at[order].set(sticks))

    def local(self, expectations: HDPExpectations, block: Block, key: Key[Array, ""]) -> Tables:
        """The tables of each document; `key` is not needed."""
        each = jax.vmap(self._seat, in_axes=(0, 0, None))
        return each(expectations.log_beta[block.words], jnp.asarray(block.counts), expectations.log_sigma)

    def _seat(self, log_beta: Float[Array, "W T"], counts: Float[Array, "W"], log_sigma: Float[Array, "T"]) -> Tables:
        """Coordinate ascent on the tables of one document.

        Tables begin at the topics that explain most of it. Begun alike, as is often done, all of them would stay alike.
        They begin anew at each step, since nothing is kept of a document, and may then end at another optimum than
        before: neither part of a step lowers the bound, but from one step to the next it can fall a little.
        """

        def words(topics: Float[Array, "S T"], size: Float[Array, "S"]) -> Float[Array, "W S"]:
            log_pi = expected_log_sticks(size, self.alpha)
            return jax.nn.softmax(log_pi[None, :] + log_beta @ topics.T, axis=-1)

        def move(state: tuple) -> tuple:
            topics, size, _, count = state
            tokens = words(topics, size) * counts[:, None]
            moved = jnp.sum(tokens, axis=0)
            topics = jax.nn.softmax(log_sigma[None, :] + tokens.T @ log_beta, axis=-1)
            return topics, moved, jnp.sum(jnp.abs(moved - size)) / len(log_sigma), count + 1

        def going(state: tuple) -> Array:
            return (state[2] >= self.tolerance) & (state[3] < self.iterations)

        likely = jax.nn.softmax(log_beta + log_sigma[None, :], axis=-1)
        _, best = lax.top_k(counts @ likely, self.tables)
        size = jnp.full((self.tables,), jnp.sum(counts) / self.tables)
        start = (jax.nn.one_hot(best, len(log_sigma)), size, jnp.asarray(jnp.inf), 0)
        topics, size, _, _ = lax.while_loop(going, move, start)
        return Tables(words(topics, size), topics)

    def add(
        self,
        parameters: HDPParameters,
        block: Block,
        expectations: HDPExpectations,
        local: Tables,
        weight: Scalar,
    ) -> HDPParameters:
        """Plus `weight` times the tokens of each word from each topic, and the tables that serve each topic."""
        counts = jnp.asarray(block.counts)
        tokens = jnp.einsum("rws,rst->rwt", local.table_of_word * counts[:, :, None], local.topic_of_table)
        real = jnp.any(counts > 0, axis=1)  # rows that only fill the block have no tables
        tables = jnp.einsum("rst,r->t", local.topic_of_table, real.astype(counts.dtype))
        return HDPParameters(parameters.words.at[block.words].add(weight * tokens), parameters.tables + weight * tables)


def proportions(tables: Float[Array, "T"], gamma: Scalar) -> Float[Array, "T"]:
    """E[sigma(v)]: how common each topic is in the corpus. Sums to 1."""
    order = jnp.argsort(-tables)
    return jnp.zeros_like(tables).at[order].set(mean_sticks(tables[order], gamma))
