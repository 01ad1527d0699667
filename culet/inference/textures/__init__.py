"""Audio textures (Antognini, Hoffman and Weiss 2018, 1806.08002): a sound in, a new sound of the same kind out."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.inference.textures.picture import spectrogram_picture
    from culet.inference.textures.settings import TextureSettings
    from culet.inference.textures.synthesis import Texture, synthesise_texture
    from culet.inference.textures.wav import read_wav, wav_bytes, write_wav

_HOME = {
    "picture": ("spectrogram_picture",),
    "settings": ("TextureSettings",),
    "synthesis": ("Texture", "synthesise_texture"),
    "wav": ("read_wav", "wav_bytes", "write_wav"),
}

__all__ = [
    "Texture",
    "TextureSettings",
    "read_wav",
    "spectrogram_picture",
    "synthesise_texture",
    "wav_bytes",
    "write_wav",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
