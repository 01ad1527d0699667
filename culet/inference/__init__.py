"""Inference: posteriors for any log density, topic models, telescope images, sound textures, disentangling.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.inference.corpus import Corpus, count_words, python_sources, read_corpus, recount
    from culet.inference.diagnostics import effective_sample_size, elbo, log_weights, pareto_k, r_hat
    from culet.inference.disentangling.mig import mutual_information_gap
    from culet.inference.disentangling.recipe import CapacityRecipe
    from culet.inference.disentangling.training import train_autoencoder
    from culet.inference.fitting import Fitting, robbins_monro
    from culet.inference.held_out import document_completion
    from culet.inference.mean_field import advi
    from culet.inference.mode import laplace
    from culet.inference.nonparametric import npv
    from culet.inference.posterior import Posterior
    from culet.inference.svi import Conjugate, update
    from culet.inference.textures.settings import TextureSettings
    from culet.inference.textures.synthesis import synthesise_texture
    from culet.inference.topic_folder import load_topics, save_topics
    from culet.inference.topic_models import HDP, LDA, SparseLDA

_HOME = {
    "corpus": ("Corpus", "count_words", "python_sources", "read_corpus", "recount"),
    "diagnostics": ("effective_sample_size", "elbo", "log_weights", "pareto_k", "r_hat"),
    "disentangling.mig": ("mutual_information_gap",),
    "disentangling.recipe": ("CapacityRecipe",),
    "disentangling.training": ("train_autoencoder",),
    "fitting": ("Fitting", "robbins_monro"),
    "held_out": ("document_completion",),
    "mean_field": ("advi",),
    "mode": ("laplace",),
    "nonparametric": ("npv",),
    "posterior": ("Posterior",),
    "svi": ("Conjugate", "update"),
    "textures.settings": ("TextureSettings",),
    "textures.synthesis": ("synthesise_texture",),
    "topic_folder": ("load_topics", "save_topics"),
    "topic_models": ("HDP", "LDA", "SparseLDA"),
}

__all__ = [
    "HDP",
    "LDA",
    "CapacityRecipe",
    "Conjugate",
    "Corpus",
    "Fitting",
    "Posterior",
    "SparseLDA",
    "TextureSettings",
    "advi",
    "count_words",
    "document_completion",
    "effective_sample_size",
    "elbo",
    "laplace",
    "load_topics",
    "log_weights",
    "mutual_information_gap",
    "npv",
    "pareto_k",
    "python_sources",
    "r_hat",
    "read_corpus",
    "recount",
    "robbins_monro",
    "save_topics",
    "synthesise_texture",
    "train_autoencoder",
    "update",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
