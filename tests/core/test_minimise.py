import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import rosen_hess

from culet.core.minimise import derivatives, lbfgs, newton


def rosenbrock(x):
    return jnp.sum(100 * jnp.square(x[1:] - jnp.square(x[:-1])) + jnp.square(1 - x[:-1]))


def test_both_find_the_bottom_of_a_curved_valley():
    start = jnp.asarray([-1.2, 1.0, 0.7])
    np.testing.assert_allclose(jax.jit(lambda x: lbfgs(rosenbrock, x))(start), 1.0, atol=1e-3)
    point, known = jax.jit(lambda x: newton(derivatives(rosenbrock), x, steps=60))(start)
    np.testing.assert_allclose(point, 1.0, atol=1e-3)
    np.testing.assert_allclose(known.hessian, rosen_hess(np.asarray(point, np.float64)), rtol=1e-4, atol=1e-2)
    assert np.abs(known.gradient).max() < 0.1


def test_newton_leaves_a_saddle_and_never_takes_what_is_not_a_number():
    def objective(x):  # minima at (+-1, 0), a saddle at 0, not a number beyond 3
        return jnp.where(x[0] > 3, jnp.nan, (x[0] ** 2 - 1) ** 2 + x[1] ** 2)

    starts = jnp.asarray([[0.1, 0.5], [-0.1, 2.0], [2.9, 0.0]])
    points, _ = jax.jit(jax.vmap(lambda x: newton(derivatives(objective), x, steps=30)))(starts)
    np.testing.assert_allclose(points, [[1, 0], [-1, 0], [1, 0]], atol=1e-3)
