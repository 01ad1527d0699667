from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.inference.topics.fitting import robbins_monro
from culet.inference.topics.svi import Conjugate, update


class Natural(NamedTuple):
    """Precision times mean, and precision, of q(mu)."""

    weighted: jax.Array
    precision: jax.Array


class NormalMean(Conjugate[Natural]):
    """x ~ Normal(mu, 1), mu ~ Normal(0, 10), whose posterior is known."""

    def prior(self):
        return Natural(jnp.zeros(()), jnp.full((), 0.1))

    def expectations(self, parameters):
        return None

    def local(self, expectations, block, key):
        return None

    def add(self, parameters, block, expectations, local, weight):
        return Natural(parameters.weighted + weight * jnp.sum(block), parameters.precision + weight * block.size)


DATA = np.random.default_rng(0).normal(3.0, 1.0, 60).astype(np.float32)


def start():
    return Natural(jnp.full((), 5.0), jnp.full((), 2.0))


def test_the_whole_corpus_at_rate_1_gives_the_exact_posterior():
    got = update(NormalMean(), start(), [DATA[:20], DATA[20:]], rate=1.0, scale=1.0, key=jax.random.key(0))
    np.testing.assert_allclose(got.precision, 60.1, rtol=1e-6)
    np.testing.assert_allclose(got.weighted, DATA.sum(), rtol=1e-6)


def test_minibatches_average_to_the_step_on_the_corpus():
    whole = update(NormalMean(), start(), [DATA], rate=0.3, scale=1.0, key=jax.random.key(0))
    parts = [
        update(NormalMean(), start(), [part], rate=0.3, scale=4.0, key=jax.random.key(0))
        for part in DATA.reshape(4, 15)
    ]
    for name in Natural._fields:
        np.testing.assert_allclose(np.mean([getattr(p, name) for p in parts]), getattr(whole, name), rtol=1e-5)


def test_the_rate_of_robbins_and_monro():
    assert robbins_monro(0, 1.0, 0.7) == 1.0
    assert robbins_monro(5, 3.0, 1.0) == 1 / 8
    steps = np.array([robbins_monro(t, 10.0, 0.6) for t in range(100_000)])
    assert steps.sum() > 200 and (steps**2).sum() < 5  # the two sums of the condition: endless, and finite


@pytest.mark.parametrize(("delay", "forgetting"), [(1.0, 0.5), (1.0, 1.1), (0.5, 0.7), (1.0, float("nan"))])
def test_rates_that_do_not_converge_are_refused(delay, forgetting):
    with pytest.raises(ValueError, match="must be"):
        robbins_monro(0, delay, forgetting)
