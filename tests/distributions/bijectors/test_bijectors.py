"""Every bijector: round trips, log dets against the Jacobian, batches, gradients."""

import importlib
import inspect
import pkgutil
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import culet.distributions
from culet.distributions.bijectors.bijector import Bijector
from tests.distributions.bijectors.cases import CASES, Case

assert_close = partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-4)


def square(case: Case):
    """The map in free coordinates."""
    fill = case.fill or (lambda numbers: numbers.reshape(case.x.shape))
    return lambda numbers: case.free_out(case.bijector.forward(fill(numbers)))


@eqx.filter_jit
def everything(case: Case, bijector, x, batch):
    """All that is checked of a bijector, in one compilation: `batch` are events, `x` the first of them."""
    case = case._replace(bijector=bijector, x=x)
    y, log_det = bijector.forward_and_log_det(batch)
    back, inverse_log_det = bijector.inverse_and_log_det(y)

    def score(both):
        bijector, x = both
        y, log_det = bijector.forward_and_log_det(x)
        back, other = bijector.inverse_and_log_det(y)
        return jnp.sum(log_det) + jnp.sum(jnp.sin(y)) + jnp.sum(other) + jnp.sum(jnp.sin(back))

    return {
        "y": y, "x": back, "forward": bijector.forward(batch), "inverse": bijector.inverse(y),
        "log_det": log_det, "inverse_log_det": inverse_log_det,
        "jacobian": jax.vmap(lambda x: jax.jacfwd(square(case))(case.free_in(x)))(batch),
        "gradients": eqx.filter_grad(score)((bijector, batch)),
    }  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_bijector(name):
    case = CASES[name]()
    bijector = case.bijector
    batch = jnp.asarray(np.stack([case.x, 0.7 * case.x, 0.9 * case.x]))
    results = everything(case._replace(bijector=None, x=None), bijector, batch[0], batch)
    assert_close(results["x"], batch)
    assert_close(results["forward"], results["y"])
    assert_close(results["inverse"], batch)
    assert np.isfinite(results["y"]).all()
    assert results["log_det"].shape == batch.shape[: batch.ndim - bijector.event_ndims_in]
    assert results["inverse_log_det"].shape == results["y"].shape[: results["y"].ndim - bijector.event_ndims_out]
    expected = np.linalg.slogdet(np.asarray(results["jacobian"], np.float64))[1]
    assert_close(np.sum(results["log_det"].reshape(3, -1), -1), expected)
    assert_close(results["inverse_log_det"], -results["log_det"])
    for leaf in jax.tree.leaves(results["gradients"]):
        assert np.isfinite(leaf).all()


def test_the_table_has_every_bijector():
    modules = pkgutil.walk_packages(culet.distributions.__path__, "culet.distributions.")
    kinds = set()
    for module in modules:
        members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        kinds |= {kind for _, kind in members if issubclass(kind, Bijector) and not inspect.isabstract(kind)}
    tested = {type(make().bijector) for make in CASES.values()}
    assert tested == kinds
    assert len(tested) >= 25
