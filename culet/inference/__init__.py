"""Inference: approximate posteriors for any log density, and models that come with their own.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.inference.diagnostics import effective_sample_size, elbo, log_weights, pareto_k, r_hat
    from culet.inference.mean_field import advi
    from culet.inference.mode import laplace
    from culet.inference.nonparametric import npv
    from culet.inference.posterior import Posterior

_HOME = {
    "diagnostics": ("effective_sample_size", "elbo", "log_weights", "pareto_k", "r_hat"),
    "mean_field": ("advi",),
    "mode": ("laplace",),
    "nonparametric": ("npv",),
    "posterior": ("Posterior",),
}

__all__ = [
    "Posterior",
    "advi",
    "effective_sample_size",
    "elbo",
    "laplace",
    "log_weights",
    "npv",
    "pareto_k",
    "r_hat",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
