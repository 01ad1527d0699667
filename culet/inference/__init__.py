"""Inference: posteriors for any log density, and topic models.

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
    from culet.inference.topics.corpus import Corpus, count_words, python_sources, read_corpus, recount
    from culet.inference.topics.fitting import Fitting, robbins_monro
    from culet.inference.topics.held_out import document_completion
    from culet.inference.topics.models import HDP, LDA, SparseLDA
    from culet.inference.topics.saved import load_topics, save_topics
    from culet.inference.topics.svi import Conjugate, update

_HOME = {
    "topics.corpus": ("Corpus", "count_words", "python_sources", "read_corpus", "recount"),
    "diagnostics": ("effective_sample_size", "elbo", "log_weights", "pareto_k", "r_hat"),
    "topics.fitting": ("Fitting", "robbins_monro"),
    "topics.held_out": ("document_completion",),
    "mean_field": ("advi",),
    "mode": ("laplace",),
    "nonparametric": ("npv",),
    "posterior": ("Posterior",),
    "topics.svi": ("Conjugate", "update"),
    "topics.saved": ("load_topics", "save_topics"),
    "topics.models": ("HDP", "LDA", "SparseLDA"),
}

__all__ = [
    "HDP",
    "LDA",
    "Conjugate",
    "Corpus",
    "Fitting",
    "Posterior",
    "SparseLDA",
    "advi",
    "count_words",
    "document_completion",
    "effective_sample_size",
    "elbo",
    "laplace",
    "load_topics",
    "log_weights",
    "npv",
    "pareto_k",
    "python_sources",
    "r_hat",
    "read_corpus",
    "recount",
    "robbins_monro",
    "save_topics",
    "update",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
