import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.objectives import Loss, cross_entropy, distillation, mixture


def test_mixture_is_the_weighted_sum_in_value_and_gradient(getkey):
    hidden, embedding, teacher = (jax.random.normal(getkey(), shape) for shape in [(5, 3), (9, 3), (5, 3)])
    targets, weights = jnp.arange(5), jnp.array([1.0, 0.0, 2.0, 1.0, 1.0])

    def parts(hidden):
        return (
            distillation(hidden, embedding, teacher, embedding, weights),
            cross_entropy(hidden, embedding, targets, weights),
        )

    def totals(hidden):
        first, second = parts(hidden)
        return jnp.stack([first.total, second.total, mixture([(0.9, first), (0.1, second)]).total])

    first, second, mixed = jax.jit(totals)(hidden)
    np.testing.assert_allclose(mixed, 0.9 * first + 0.1 * second, rtol=1e-6)
    first, second, mixed = jax.jit(jax.jacrev(totals))(hidden)
    np.testing.assert_allclose(mixed, 0.9 * first + 0.1 * second, rtol=1e-5, atol=1e-6)


def test_mixture_keeps_the_weight_and_all_metrics():
    def loss(name, value):
        return Loss(jnp.array(value), jnp.array(7.0), {name: jnp.array(value)})

    got = mixture([(0.5, loss("cross_entropy", 2.0)), (2.0, loss("distillation", 3.0))])
    assert (got.total, got.weight) == (7.0, 7.0)
    assert got.metrics == {"cross_entropy": 2.0, "distillation": 3.0}


def test_mixture_refuses_nothing_and_the_same_loss_twice():
    loss = Loss(jnp.ones(()), jnp.ones(()), {"cross_entropy": jnp.ones(())})
    with pytest.raises(ValueError, match="at least one"):
        mixture([])
    with pytest.raises(ValueError, match="report cross_entropy"):
        mixture([(0.5, loss), (0.5, loss)])
