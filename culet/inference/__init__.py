"""Probabilistic inference and representations learnt without labels. Names are loaded when first used."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.inference.disentangling.mig import mutual_information_gap
    from culet.inference.disentangling.recipe import CapacityRecipe
    from culet.inference.disentangling.training import train_autoencoder
    from culet.inference.textures.settings import TextureSettings
    from culet.inference.textures.synthesis import synthesise_texture

_HOME = {
    "disentangling.mig": ("mutual_information_gap",),
    "disentangling.recipe": ("CapacityRecipe",),
    "disentangling.training": ("train_autoencoder",),
    "textures.settings": ("TextureSettings",),
    "textures.synthesis": ("synthesise_texture",),
}

__all__ = [
    "CapacityRecipe",
    "TextureSettings",
    "mutual_information_gap",
    "synthesise_texture",
    "train_autoencoder",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
