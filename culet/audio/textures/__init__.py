"""Audio textures (Antognini, Hoffman and Weiss 2018, 1806.08002): a sound in, a new sound of the same kind out."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.audio.textures.features import RandomFeatures, TextureLoss
    from culet.audio.textures.scores import beat_error, gram_distance, likeness
    from culet.audio.textures.settings import TextureSettings
    from culet.audio.textures.sources import birds, clicks, rain
    from culet.audio.textures.spectrogram import log_magnitude, spectrogram_picture
    from culet.audio.textures.synthesis import Texture, synthesise_texture

_HOME = {
    "features": ("RandomFeatures", "TextureLoss"),
    "scores": ("beat_error", "gram_distance", "likeness"),
    "settings": ("TextureSettings",),
    "sources": ("birds", "clicks", "rain"),
    "spectrogram": ("log_magnitude", "spectrogram_picture"),
    "synthesis": ("Texture", "synthesise_texture"),
}

__all__ = [
    "RandomFeatures", "Texture", "TextureLoss", "TextureSettings", "beat_error", "birds", "clicks", "gram_distance",
    "likeness", "log_magnitude", "rain", "spectrogram_picture", "synthesise_texture",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
