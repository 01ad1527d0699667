"""What latents mean: codes of images, pictures of what each latent changes, and a whole study from images to pictures.

Axis letters: N images, H height, W width, C channels, Z latents, S steps.
"""

import dataclasses
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from culet.core import Batches, atomic_write, line_plot
from culet.core.checkpoint import claim_folder
from culet.distributions import Normal, kl_divergence
from culet.generative.autoencoder import AutoEncoder, DenseAutoEncoder, check_shape
from culet.generative.image_files import read_images
from culet.generative.recipe import CapacityRecipe
from culet.generative.training import train_autoencoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@eqx.filter_jit
def encode(
    model: AutoEncoder | DenseAutoEncoder, images: Float[Array, "N H W C"]
) -> tuple[Float[Array, "N Z"], Float[Array, "Z"]]:
    """The means of the codes, and the KL of each latent in nats, a mean over the images."""
    codes = jax.vmap(model.encode)(images)
    return codes.mean(), kl_divergence(codes, Normal(0.0, 1.0)).mean(axis=0)


@eqx.filter_jit
def traversals(
    model: AutoEncoder | DenseAutoEncoder, image: Float[Array, "H W C"], values: Float[Array, "S"]
) -> Float[Array, "Z S H W C"]:
    """The image's code with latent z set to each of `values` in turn, decoded to pixels in [0, 1]."""
    mean = model.encode(image).mean()
    codes = jax.vmap(lambda z: jax.vmap(lambda value: mean.at[z].set(value))(values))(jnp.arange(len(mean)))
    return jax.vmap(jax.vmap(model.decode))(codes).mean()


def traversal_picture(
    model: AutoEncoder | DenseAutoEncoder,
    image: Float[np.ndarray, "H W C"],
    divergence: Float[np.ndarray, "Z"],
    title: str,
) -> "Figure":
    """A row for each latent, that of the largest KL first, moved from -2 to 2 standard deviations of the prior.

    The start is the `image`, at the left of each row; the `divergence` of each latent (nats) stands beside it.
    """
    from matplotlib.figure import Figure

    values = np.linspace(-2, 2, 9, dtype=np.float32)
    moved = np.asarray(traversals(model, jnp.asarray(image), jnp.asarray(values)))
    figure = Figure(figsize=(8, 0.75 * len(moved) + 0.6), dpi=130, layout="constrained")
    rows: Any = figure.subplots(len(moved), 1, squeeze=False)[:, 0]
    for axes, z in zip(rows, np.argsort(-divergence), strict=True):
        strip = np.concatenate([image[None], moved[z]])
        strip = np.pad(strip, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5)
        picture = np.concatenate(list(strip), axis=1)
        axes.imshow(np.broadcast_to(picture, (*picture.shape[:2], 3)), vmin=0, vmax=1, aspect="auto")
        axes.set_ylabel(f"z{z}\n{divergence[z]:.2f}", rotation=0, ha="right", va="center", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(title, fontsize=11)
    return figure


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
    digest = hashlib.sha256(repr(images.shape).encode() + images.tobytes()).hexdigest()
    settings = dataclasses.asdict(recipe) | {"images": digest}
    del settings["steps"]  # a run may go on to more of them
    claim_folder(out, settings, defaults=dataclasses.asdict(CapacityRecipe()), private=("images",))
    batches = Batches({"images": images}, recipe.batch_size, recipe.seed)
    model, history = train_autoencoder(batches, recipe, folder=out, progress=progress)
    parts = [images[i : i + ENCODED_AT_ONCE] for i in range(0, len(images), ENCODED_AT_ONCE)]
    codes = [encode(model, jnp.asarray(part)) for part in parts]
    means = np.concatenate([np.asarray(mean) for mean, _ in codes])
    weights = np.array([len(part) for part in parts]) / len(images)
    divergence = np.sum([weight * np.asarray(one) for weight, (_, one) in zip(weights, codes, strict=True)], axis=0)
    image = io.BytesIO()
    traversal_picture(model, images[0], divergence, "Each latent from -2 to 2").savefig(image, format="png")
    atomic_write(out / "traversals.png", image.getvalue())
    steps = [row["step"] for row in history]
    curves = {f"z{z}": (steps, [row[f"divergence_{z}"] for row in history]) for z in range(recipe.latents)}
    line_plot(out / "latents.png", curves, "step", "nats", "KL of each latent")
    file = io.BytesIO()
    np.savez(file, mean=means, divergence=divergence)
    atomic_write(out / "codes.npz", file.getvalue())
    return divergence.astype(np.float32)
