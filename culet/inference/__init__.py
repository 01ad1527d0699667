"""Inference: posteriors for any log density, and topic models.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.inference._advi import advi
    from culet.inference._laplace import laplace
    from culet.inference._npv import npv
    from culet.inference.diagnostics import effective_sample_size, elbo, log_weights, pareto_k, r_hat
    from culet.inference.posterior import LogDensity, Posterior
    from culet.inference.topics.corpus import Corpus, count_words, python_sources, read_corpus, recount
    from culet.inference.topics.fitting import Minibatches, robbins_monro
    from culet.inference.topics.held_out import document_completion
    from culet.inference.topics.models import HDP, LDA, SparseLDA, TopicModel, topic_figure
    from culet.inference.topics.saved import load_topics, save_topics
    from culet.inference.topics.svi import Conjugate, update

_HOME = {
    "_advi": ("advi",),
    "_laplace": ("laplace",),
    "_npv": ("npv",),
    "diagnostics": ("effective_sample_size", "elbo", "log_weights", "pareto_k", "r_hat"),
    "posterior": ("LogDensity", "Posterior"),
    "topics.corpus": ("Corpus", "count_words", "python_sources", "read_corpus", "recount"),
    "topics.fitting": ("Minibatches", "robbins_monro"),
    "topics.held_out": ("document_completion",),
    "topics.models": ("HDP", "LDA", "SparseLDA", "TopicModel", "topic_figure"),
    "topics.saved": ("load_topics", "save_topics"),
    "topics.svi": ("Conjugate", "update"),
}

__all__ = [
    "HDP", "LDA", "Conjugate", "Corpus", "LogDensity", "Minibatches", "Posterior", "SparseLDA", "TopicModel", "advi",
    "count_words", "document_completion", "effective_sample_size", "elbo", "laplace", "load_topics", "log_weights",
    "npv", "pareto_k", "python_sources", "r_hat", "read_corpus", "recount", "robbins_monro", "save_topics",
    "topic_figure", "update",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
