"""Representations in which one latent means one thing: the beta-VAE and its growing capacity (1804.03599).

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.generative.autoencoder import AutoEncoder, DenseAutoEncoder
    from culet.generative.image_files import read_images
    from culet.generative.mig import mutual_information, mutual_information_gap
    from culet.generative.recipe import CapacityRecipe
    from culet.generative.sprites import SpriteBatches, draw_sprites, random_factors
    from culet.generative.study import encode, study_images, traversal_picture, traversals
    from culet.generative.training import train_autoencoder

_HOME = {
    "autoencoder": ("AutoEncoder", "DenseAutoEncoder"),
    "image_files": ("read_images",),
    "mig": ("mutual_information", "mutual_information_gap"),
    "recipe": ("CapacityRecipe",),
    "sprites": ("SpriteBatches", "draw_sprites", "random_factors"),
    "study": ("encode", "study_images", "traversal_picture", "traversals"),
    "training": ("train_autoencoder",),
}

__all__ = [
    "AutoEncoder", "CapacityRecipe", "DenseAutoEncoder", "SpriteBatches", "draw_sprites", "encode",
    "mutual_information", "mutual_information_gap", "random_factors", "read_images", "study_images",
    "train_autoencoder", "traversal_picture", "traversals",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
