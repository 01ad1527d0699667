"""From a user's images to trained codes, and pictures of what they mean.

Axis letters: N images, Z latents.
"""

import dataclasses
import hashlib
import io
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from culet.core import Batches, atomic_write, line_plot
from culet.core.log import read_log
from culet.generative.autoencoder import check_shape
from culet.generative.image_files import read_images
from culet.generative.recipe import CapacityRecipe
from culet.generative.training import train_autoencoder
from culet.generative.traverse import encode, traversal_picture

ENCODED_AT_ONCE = 256


def study_images(
    path: str | Path, out: str | Path, recipe: CapacityRecipe, size: int = 32, *, progress: bool = True
) -> Float[np.ndarray, "Z"]:
    """Trains on the images of `path` (see `read_images`), writes to the folder `out`, returns each latent's KL in nats.

    Written are `codes.npz` (`mean` [N, Z] in the order of the images, `divergence` [Z]), `traversals.png`,
    `latents.png` (KL over the steps), `settings.json`, the log and the checkpoints, from which the same call goes on.
    Errors are those of `read_images` and `train_autoencoder`, and ValueError for a folder `out` that is among the
    images, or that has the run of another recipe (but for its `steps`) or of other images.
    """
    out = Path(out)
    if out.resolve().is_relative_to(Path(path).resolve()):
        raise ValueError(f"{out} is within {path}: the pictures of the run would be taken for images; write elsewhere")
    check_shape((size, size, 1))
    images = read_images(path, size)
    _claim(out, recipe, images)
    batches = Batches({"images": images}, recipe.batch_size, recipe.seed)
    model = train_autoencoder(batches, recipe, folder=out, progress=progress)
    parts = [images[i : i + ENCODED_AT_ONCE] for i in range(0, len(images), ENCODED_AT_ONCE)]
    found = [encode(model, jnp.asarray(part)) for part in parts]
    means = np.concatenate([np.asarray(mean) for mean, _ in found])
    shares = np.array([len(part) for part in parts]) / len(images)
    divergence = np.sum([share * np.asarray(one) for share, (_, one) in zip(shares, found, strict=True)], axis=0)
    image = io.BytesIO()
    traversal_picture(model, images[0], divergence, "Each latent from -2 to 2").savefig(image, format="png")
    atomic_write(out / "traversals.png", image.getvalue())
    rows = [row for row in read_log(out / "log.jsonl") if "divergence_0" in row]
    steps = [row["step"] for row in rows]
    curves = {f"z{z}": (steps, [row[f"divergence_{z}"] for row in rows]) for z in range(recipe.latents)}
    line_plot(out / "latents.png", curves, "step", "nats", "What each latent tells")
    codes = io.BytesIO()
    np.savez(codes, mean=means, divergence=divergence)
    atomic_write(out / "codes.npz", codes.getvalue())
    return divergence.astype(np.float32)


def _claim(out: Path, recipe: CapacityRecipe, images: np.ndarray) -> None:
    """Leaves the settings of a run in its folder; one begun with others must not go on as if it had these."""
    digest = hashlib.sha256(repr(images.shape).encode() + images.tobytes()).hexdigest()
    mine = dataclasses.asdict(recipe) | {"images": digest}
    del mine["steps"]
    file = out / "settings.json"
    kept = json.loads(file.read_text()) if file.exists() and (out / "checkpoints").exists() else mine
    if names := [name for name in mine if kept.get(name) != mine[name]]:
        told = [name if name == "images" else f"{name} {kept.get(name)} instead of {mine[name]}" for name in names]
        raise ValueError(f"{out} has a run with other settings ({', '.join(told)}); use another folder")
    atomic_write(file, json.dumps(mine, indent=1) + "\n")
