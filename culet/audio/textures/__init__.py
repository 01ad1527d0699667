"""Audio textures (Antognini, Hoffman and Weiss 2018, 1806.08002): a sound in, a new sound of the same kind out."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.audio.textures.picture import spectrogram_picture
    from culet.audio.textures.settings import TextureSettings
    from culet.audio.textures.synthesis import Texture, synthesise_texture

_HOME = {
    "picture": ("spectrogram_picture",),
    "settings": ("TextureSettings",),
    "synthesis": ("Texture", "synthesise_texture"),
}

__all__ = [
    "Texture",
    "TextureSettings",
    "spectrogram_picture",
    "synthesise_texture",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
