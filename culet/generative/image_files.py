"""Images from a folder or an array file.

Axis letters: N images, H height, W width, C channels.
"""

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def read_images(path: str | Path, size: int = 32) -> Float[np.ndarray, "N H W C"]:
    """Images in [0, 1], `size` pixels a side: the image files of a folder and its subfolders, or an array of an .npz.

    All are squeezed to a square. Files come in the order of their paths, grey if all are and else colour. An .npz has
    one array of images, or one called `images` or `imgs`: [N, H, W] or [N, H, W, C], integers from 0 to 255, 0 to 1,
    or floats in [0, 1].

    Raises:
        OSError: there is no such file or folder.
        ValueError: there are no images, a file is no image or has pixels of 32 bits, or an array is not one of images;
            it says which.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} is neither a folder of images nor an .npz file")
    images = _from_folder(path, size) if path.is_dir() else _from_array(path, size)
    return np.ascontiguousarray(images, np.float32)


def _from_folder(folder: Path, size: int) -> np.ndarray:
    from rich.console import Console
    from rich.progress import track

    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{folder} has no image files ({', '.join(SUFFIXES)})")
    shown = track(files, "reading images", console=Console(stderr=True), transient=True, disable=len(files) < 1000)
    pictures = [_picture(file, size) for file in shown]
    mode = "L" if all(picture.mode == "L" for picture in pictures) else "RGB"
    arrays = [np.asarray(picture.convert(mode)) for picture in pictures]
    return np.stack(arrays).reshape(len(arrays), size, size, -1) / 255


def _picture(file: Path, size: int) -> "Image.Image":
    """Made small at once, for a folder of photographs does not fit into memory."""
    from PIL import Image

    try:
        with Image.open(file) as opened:
            if opened.mode.startswith("I;16"):  # Pillow would cut off all above 255
                picture = Image.fromarray((np.asarray(opened) / 257).round().astype(np.uint8))
            elif opened.mode in ("I", "F"):
                raise ValueError("pixels of 32 bits have no white; save it with 8 or 16")
            else:
                picture = opened.convert("L" if opened.mode in ("1", "L", "LA") else "RGB")
        return picture.resize((size, size))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise ValueError(f"{file} is not a readable image ({problem}); remove or mend it") from None


def _from_array(path: Path, size: int) -> np.ndarray:
    import zipfile

    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is neither a folder of images nor an .npz file of images")
    try:
        with np.load(path, allow_pickle=False) as file:
            names = [name for name in ("images", "imgs") if name in file.files] or file.files
            if len(names) != 1 and names[:1] not in (["images"], ["imgs"]):
                raise ValueError(f"which array has the images? It holds {', '.join(names) or 'none'}; call it images")
            array = file[names[0]]
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{names[0]} is no array")
    except (ValueError, OSError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as problem:
        raise ValueError(f"{path} is not an .npz file of images: {problem}") from None
    if array.ndim not in (3, 4) or 0 in array.shape or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise ValueError(f"{path}: the array has the shape {list(array.shape)}, not [N, H, W] or [N, H, W, 1 or 3]")
    if array.dtype.kind not in "buif":
        raise ValueError(f"{path}: the array holds {array.dtype}, not numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{path}: image {int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(1)))} has NaN")
    high = 255 if array.dtype.kind in "ui" and array.max() > 1 else 1
    if array.min() < 0 or array.max() > high:
        raise ValueError(f"{path}: values from {array.min()} to {array.max()}; they must lie in 0 to {high}")
    images = array.reshape(*array.shape[:3], -1).astype(np.float32) / high
    return images if images.shape[1] == images.shape[2] == size else np.stack([_resized(one, size) for one in images])


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    channels = [Image.fromarray(image[..., c]).resize((size, size)) for c in range(image.shape[-1])]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], axis=-1), 0, 1)
