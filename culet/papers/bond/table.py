"""BOND on a policy that is a table: its divergences from the best of N are exact, for each share of the two halves.

Axis letters: N seeds, Y completions, B samples, H halves and their middle, P points.
"""

import functools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from culet.objectives import (
    best_of_n_log_probabilities,
    bond_return,
    bond_reward,
    jeffreys,
    leave_one_out,
    quantiles,
)

COMPLETIONS, OF, SAMPLES = 64, 16, 32


@functools.partial(jax.jit, static_argnames=("rate", "steps", "points"))
def divergences(
    seed: Int[Array, ""], shares: Float[Array, "H"], rate: float, steps: int, points: int
) -> Float[Array, "H P 2"]:
    """KL(best of N || policy) and KL(policy || best of N) of a run with each share of the backward half.

    A run begins at the reference and takes `steps` steps of Adam on samples, like BOND with exact quantiles: the
    forward half learns from bests of N of the reference, the backward one from the policy's own samples.
    """
    key = jax.random.key(seed)
    reference = jax.nn.log_softmax(jax.random.normal(jax.random.fold_in(key, 0), (COMPLETIONS,)))
    rewards = jax.random.normal(jax.random.fold_in(key, 1), (COMPLETIONS,))
    target = best_of_n_log_probabilities(reference, rewards, OF)
    worth = bond_reward(*quantiles(rewards, rewards, jnp.exp(reference)), OF)
    optimizer = optax.adam(rate)

    def gradient(logits: Float[Array, "Y"], share: Float[Array, ""], key: Key[Array, ""]) -> Float[Array, "Y"]:
        own_key, best_key = jax.random.split(key)
        own = jax.random.categorical(own_key, logits, shape=(SAMPLES,))
        best = jax.random.categorical(best_key, target, shape=(SAMPLES,))

        def loss(logits: Float[Array, "Y"]) -> Float[Array, ""]:
            policy = jax.nn.log_softmax(logits)
            advantages = leave_one_out(bond_return(worth[own], policy[own], reference[own], OF))
            return -jnp.mean((1 - share) * policy[best] + share * advantages * policy[own])

        return jax.grad(loss)(logits)

    def run(share: Float[Array, ""]) -> Float[Array, "P 2"]:
        def step(state, key):
            logits, moments = state
            with jax.numpy_dtype_promotion("standard"):  # Optax mixes floats and integers
                updates, moments = optimizer.update(gradient(logits, share, key), moments)
            return (logits + updates, moments), None

        def part(state, keys):
            state, _ = jax.lax.scan(step, state, keys)
            policy = jax.nn.log_softmax(state[0])
            return state, jnp.stack([jeffreys(policy, target, beta=beta) for beta in (0.0, 1.0)])

        keys = jax.random.split(jax.random.fold_in(key, 2), (points, steps // points))
        return jax.lax.scan(part, (reference, optimizer.init(reference)), keys)[1]

    return jax.vmap(run)(shares)
