"""Nonparametric variational inference (Gershman, Hoffman and Blei, 2012): ten components come nearer than one.

Axis letters: N seeds, G points of a grid.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed

if TYPE_CHECKING:
    from jaxtyping import Array, Key
    from matplotlib.figure import Figure

    from culet.inference.posterior import LogDensity, Posterior

    Method = Callable[[LogDensity, Any, Key[Array, ""], int], Posterior]  # density, where zero is, key, budget

_PER_SWEEP = 100  # the most steps that L-BFGS takes for all components together
_REACH, _SIDE = 8.0, 240  # the grid's half width and points to a side
_PRIOR_SD = 3.0  # of the places where components begin:
_DRAWS = 500  # draws, gathered by k-means


class Sizes(NamedTuple):
    """Of a fit and of the study."""

    budget: int  # gradients, at most
    all_targets: bool  # the banana and the regression too


SIZES: Mapping[Scale, Sizes] = {"smoke": Sizes(2_000, False), "laptop": Sizes(10_000, True)}


def _npv(components: int, together: bool = False) -> "Method":
    def fit(log_density: "LogDensity", zero: Any, key: "Key[Array, '']", budget: int) -> "Posterior":
        import jax
        import jax.numpy as jnp
        from jax.flatten_util import ravel_pytree
        from scipy.cluster.vq import kmeans2

        from culet.inference import npv

        flat, unravel = ravel_pytree(zero)
        draws = _PRIOR_SD * jax.random.normal(key, (_DRAWS, flat.size))
        apart, _ = kmeans2(np.asarray(draws, np.float64), np.asarray(draws[:components], np.float64), iter=20)
        places = np.repeat(apart[:1], components, axis=0) if together else apart
        starts = jax.vmap(unravel)(jnp.asarray(places, flat.dtype))
        return npv(log_density, starts, key, sweeps=budget // (_PER_SWEEP * components))[0]

    return fit


def _advi(full_rank: bool) -> "Method":
    def fit(log_density: "LogDensity", zero: Any, key: "Key[Array, '']", budget: int) -> "Posterior":
        from culet.inference import advi

        return advi(log_density, _draw(key, zero), key, full_rank=full_rank, steps=budget // 8, draws=8)[0]

    return fit


def _laplace(log_density: "LogDensity", zero: Any, key: "Key[Array, '']", budget: int) -> "Posterior":
    from culet.inference import laplace

    return laplace(log_density, _draw(key, zero), steps=budget)[0]


def _draw(key: "Key[Array, '']", zero: Any) -> Any:
    import jax
    from jax.flatten_util import ravel_pytree

    flat, unravel = ravel_pytree(zero)
    return unravel(_PRIOR_SD * jax.random.normal(key, flat.shape))


def _run(method: "Method", seed: int, scale: Scale) -> Mapping[str, Any]:
    import jax
    import jax.numpy as jnp

    from culet.inference.targets import banana, four_modes

    budget, key, plane = SIZES[scale].budget, jax.random.key(seed), jnp.zeros(2)
    corners = method(four_modes, plane, key, budget)
    divergence, density = _on_grid(four_modes, corners)
    measured = {"four_modes": divergence, "density": density, "budget": np.asarray(budget)}
    if SIZES[scale].all_targets:
        measured["banana"] = _on_grid(banana, method(banana, plane, key, budget))[0]
        measured["regression"] = _held_out(method, seed, budget)
    return measured


def _on_grid(log_density: "LogDensity", posterior: "Posterior") -> tuple[np.ndarray, np.ndarray]:
    """KL(approximation | target) in nats, summed over the grid, and the approximation's density on it."""
    log_p, log_q = _both_logs(log_density, posterior)
    cell = (2 * _REACH / (_SIDE - 1)) ** 2
    q = np.exp(log_q)
    return np.asarray((q * (log_q - log_p)).sum() * cell), q.reshape(_SIDE, _SIDE)


def _both_logs(log_density: "LogDensity", posterior: "Posterior") -> tuple[np.ndarray, np.ndarray]:
    import jax.numpy as jnp

    line = jnp.linspace(-_REACH, _REACH, _SIDE)
    points = jnp.stack(jnp.meshgrid(line, line), axis=2).reshape(-1, 2)
    log_p, log_q = _compiled()(log_density, posterior, points)
    return np.asarray(log_p, np.float64), np.asarray(log_q, np.float64)


@functools.cache
def _compiled() -> Callable[..., Any]:
    """Both log densities at many points."""
    import equinox as eqx
    import jax

    def over(log_density: "LogDensity", posterior: "Posterior", points: Any) -> Any:  # points [G, 2]
        return jax.lax.map(lambda one: (log_density(one), posterior.log_prob(one)), points, batch_size=4800)

    return eqx.filter_jit(over)


def _held_out(method: "Method", seed: int, budget: int) -> np.ndarray:
    """Mean log probability of 2,000 held-out labels after 300 of them, 8 features, in nats."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from culet.inference.targets import Regression, hierarchical_logistic, label_log_prob

    generator = np.random.default_rng(seed)
    features = generator.normal(size=(2300, 8)).astype(np.float32)
    truth = generator.normal(size=8)
    labels = (generator.random(2300) < 1 / (1 + np.exp(-features @ truth))).astype(np.float32)
    shown, hidden = (
        (jnp.asarray(features[part]), jnp.asarray(labels[part])) for part in (slice(300), slice(300, None))
    )
    joint = eqx.Partial(hierarchical_logistic, features=shown[0], labels=shown[1])
    posterior = method(joint, Regression(jnp.zeros(8), jnp.zeros(())), jax.random.key(seed), budget)
    draws = posterior.sample(jax.random.key(seed + 1), (500,))
    each = jax.vmap(lambda one: label_log_prob(one, *hidden))(draws)
    return np.asarray(jnp.mean(jax.nn.logsumexp(each, axis=0)) - np.log(500))


def _variant(description: str, method: "Method", equal_budget: bool = True) -> Variant:
    return Variant(description=description, run=per_seed(functools.partial(_run, method)), equal_budget=equal_budget)


def _closer(*variants: str) -> Callable[[Findings], np.ndarray]:
    """How many times farther from the target the best of `variants` is than ten components [N]."""

    def margin(findings: Findings) -> np.ndarray:
        others = np.min([findings[variant]["four_modes"] for variant in variants], axis=0)
        return others / np.asarray(findings["ten"]["four_modes"])

    return margin


def _figure(findings: Findings) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(findings), 3.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(1, len(findings), squeeze=False)
    for panel, (variant, measured) in zip(axes[0], findings.items(), strict=True):
        extent = (-_REACH, _REACH, -_REACH, _REACH)
        panel.imshow(np.sqrt(np.asarray(measured["density"])[0]), origin="lower", cmap="Blues", extent=extent)
        for x in (-2.5, 2.5):
            panel.plot([x, x], [-2.5, 2.5], "+", color="#d1622b")
        panel.set(title=f"{variant}: {np.mean(measured['four_modes']):.3f} nats", xlim=(-6, 6), ylim=(-6, 6))
    return figure


experiment = Experiment(
    slug="nonparametric-vi",
    question="Does a mixture posterior of ten components come nearer to a target of four modes than one Gaussian does?",
    metrics=(
        Metric(name="four_modes", unit="nats, KL to four modes", better="lower"),
        Metric(name="banana", unit="nats, KL to a banana", better="lower"),
        Metric(name="regression", unit="nats per held-out label", better="higher"),
    ),
    budget_unit="gradients of the log density, at most",
    variants={
        "ten": _variant("nonparametric variational inference, ten components", _npv(10)),
        "one": _variant("the same with one component", _npv(1)),
        "mean field": _variant("ADVI, independent coordinates", _advi(full_rank=False)),
        "full rank": _variant("ADVI, any covariance", _advi(full_rank=True)),
        "Laplace": _variant("Laplace's approximation at the mode found", _laplace, equal_budget=False),
    },
    claims=(
        Claim(
            text="Ten components are at least 5 times closer (KL by grid) to four modes than one.",
            margin=_closer("one"),
            at_least=5.0,
        ),
        Claim(
            text="They are at least 5 times closer than the best of ADVI and Laplace.",
            margin=_closer("mean field", "full rank", "Laplace"),
            at_least=5.0,
        ),
    ),
    control={"ten": _variant("ten components that all begin in one place", _npv(10, together=True))},
    figure=_figure,
    deviations="Two densities in the plane whose divergence a grid gives, and a hierarchical logistic regression on "
    "drawn data, in place of the paper's sets. All means move at once by L-BFGS, not one after the other.",
    usage="from culet.inference import npv; posterior, bounds = npv(log_density, starts, key)",
)
