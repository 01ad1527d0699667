"""Probabilistic inference: stochastic variational inference and topic models.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.inference.corpus import Corpus, count_words, python_sources, read_corpus
    from culet.inference.fitting import Fitting
    from culet.inference.held_out import document_completion
    from culet.inference.svi import Conjugate, robbins_monro, update
    from culet.inference.topic_folder import load_topics, save_topics
    from culet.inference.topic_models import HDP, LDA, SparseLDA

_HOME = {
    "corpus": ("Corpus", "count_words", "python_sources", "read_corpus"),
    "fitting": ("Fitting",),
    "held_out": ("document_completion",),
    "svi": ("Conjugate", "robbins_monro", "update"),
    "topic_folder": ("load_topics", "save_topics"),
    "topic_models": ("HDP", "LDA", "SparseLDA"),
}

__all__ = [
    "HDP",
    "LDA",
    "Conjugate",
    "Corpus",
    "Fitting",
    "SparseLDA",
    "count_words",
    "document_completion",
    "load_topics",
    "python_sources",
    "read_corpus",
    "robbins_monro",
    "save_topics",
    "update",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
