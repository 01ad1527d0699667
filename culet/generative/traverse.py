"""What each latent does: images as one number of the code moves.

Axis letters: N images, H height, W width, C channels, Z latents, S steps.
"""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from culet.generative.autoencoder import AutoEncoder, DenseAutoEncoder
from culet.objectives.variational import gaussian_divergence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@eqx.filter_jit
def encode(
    model: AutoEncoder | DenseAutoEncoder, images: Float[Array, "N H W C"]
) -> tuple[Float[Array, "N Z"], Float[Array, "Z"]]:
    """The means of the codes, and the KL of each latent in nats, a mean over the images."""
    mean, log_variance = jax.vmap(model.encode)(images)
    return mean, gaussian_divergence(mean, log_variance).mean(axis=0)


@eqx.filter_jit
def traversals(
    model: AutoEncoder | DenseAutoEncoder, image: Float[Array, "H W C"], values: Float[Array, "S"]
) -> Float[Array, "Z S H W C"]:
    """The image's code with latent z set to each of `values` in turn, decoded to pixels in [0, 1]."""
    mean, _ = model.encode(image)
    codes = jax.vmap(lambda z: jax.vmap(lambda value: mean.at[z].set(value))(values))(jnp.arange(len(mean)))
    return jax.nn.sigmoid(jax.vmap(jax.vmap(model.decode))(codes))


def traversal_picture(
    model: AutoEncoder | DenseAutoEncoder,
    image: Float[np.ndarray, "H W C"],
    divergence: Float[np.ndarray, "Z"],
    title: str,
) -> "Figure":
    """A row for each latent, the one that tells most first, moved from -2 to 2 standard deviations of the prior.

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
