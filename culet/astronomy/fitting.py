"""From a field and first positions to the posterior of every source: each in turn, its neighbours held fixed.

Axis letters: S sources, B bands, P pixels of a patch, D free numbers of a galaxy, E of a star, H rows, W columns.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from rich.console import Console
from rich.progress import Progress

from culet.astronomy.bound import Curvature, Patch, curvature, expected_counts, light, negative_bound, split
from culet.astronomy.detection import Detections, detect
from culet.astronomy.field import Field
from culet.astronomy.mixtures import Mixture
from culet.astronomy.prior import Prior, broad_prior
from culet.core.files import atomic_write
from culet.core.minimise import newton

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 25  # pixels of a patch; the light beyond is left to the sky
_AT_ONCE = 4  # sources fitted in one call, their neighbours held as they were before it
_FIRST_STEPS, _STEPS = 14, 6  # of Newton's method in the first sweep and the others


class Solution(NamedTuple):
    """The posterior of each source. Fluxes are in counts; what belongs to a type is of the likelier one."""

    position: Float[np.ndarray, "S 2"]  # (x, y) in pixels
    position_sd: Float[np.ndarray, "S 2"]
    log_flux: Float[np.ndarray, "S B"]  # its mean: the flux is log-normal
    log_flux_covariance: Float[np.ndarray, "S B B"]
    star_probability: Float[np.ndarray, "S"]
    shape: Float[np.ndarray, "S 4"]  # of the galaxy that it would be; see `mixtures.galaxy_shape`
    model: Float[np.ndarray, "B H W"]  # expected counts, sky included


class _Fits(NamedTuple):
    """Both types of the sources, with positions in their patches."""

    star: Float[Array, "S E"]
    galaxy: Float[Array, "S D"]
    star_curvature: Curvature
    galaxy_curvature: Curvature
    star_probability: Float[Array, "S"]
    expected: Float[Array, "S B P"]


def infer(field: Field, detections: Detections, prior: Prior, *, sweeps: int = 4, progress: bool = True) -> Solution:
    """Fits every source as a star and as a galaxy, `sweeps` times over all, and weighs the two by their evidence.

    Begins at the detections, whose fluxes are in counts. Raises `ValueError` when there are none, or a prior of
    other bands.
    """
    count, bands = len(detections.x), len(field.bands)
    if count == 0:
        raise ValueError("no source was detected, so there is nothing to fit; try a lower threshold")
    if prior.star.colour_means.shape[1] != bands - 1:
        raise ValueError(f"the prior has {prior.star.colour_means.shape[1]} colours and the field {bands - 1}")
    corner, stars, galaxies = _begin(detections, prior)
    model = np.broadcast_to(field.sky[:, None, None], field.counts.shape).astype(np.float64)
    padded = np.pad(model, ((0, 0), (SIDE, SIDE), (SIDE, SIDE)), mode="edge")
    near = np.stack([_as_star(free, field.psf) for free in stars]).reshape(count, bands, SIDE, SIDE).astype(np.float64)
    for s in range(count):
        padded[_window(corner[s])] += near[s]
    order = np.argsort(-detections.flux.sum(axis=1))
    groups = [order[i : i + _AT_ONCE] for i in range(0, count, _AT_ONCE)]
    kept: list[_Fits] = []
    with Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar:
        task = bar.add_task("fitting", total=sweeps * len(groups))
        for sweep in range(sweeps):
            kept.clear()
            for group in groups:
                batch = np.resize(group, _AT_ONCE)  # the last one is filled up with sources that it has
                patches = _patches(field, padded, near, corner, batch)
                steps = _FIRST_STEPS if sweep == 0 else _STEPS
                begun = jnp.asarray(stars[batch]), jnp.asarray(galaxies[batch])
                fits = _fit(*begun, patches, field.psf, prior, jnp.asarray(steps))
                fits = jax.tree.map(lambda leaf, n=len(group): np.asarray(leaf)[:n], fits)
                kept.append(fits)
                stars[group], galaxies[group] = fits.star, fits.galaxy
                for s, new in zip(group, fits.expected.reshape(-1, bands, SIDE, SIDE), strict=True):
                    padded[_window(corner[s])] += new - near[s]
                    near[s] = new
                bar.advance(task)
    together = jax.tree.map(lambda *leaves: np.concatenate(leaves)[np.argsort(order)], *kept)
    return _solution(together, corner, padded[:, SIDE:-SIDE, SIDE:-SIDE], bands)


def survey(field: Field, prior: Prior | None = None, *, threshold: float = 5.0, progress: bool = True) -> Solution:
    """Detects and fits all that is in a field: detections, a model, what it leaves, and the sources hidden there.

    Sources that the first model leaves by more than `threshold` standard deviations join, and all are fitted again.
    Without a prior, `broad_prior`. Raises `ValueError` when nothing is detected.
    """
    detections = detect(field, threshold=threshold)
    prior = broad_prior(detections) if prior is None else prior
    first = infer(field, detections, prior, sweeps=3, progress=progress)
    hidden = detect(field, first.model, threshold=threshold)
    (x, y), flux, star = first.position.T, np.exp(first.log_flux), first.star_probability > 0.5
    kept = Detections(x, y, flux, _flux_error(first), detections.significance, star)
    both = Detections(*(np.concatenate(columns) for columns in zip(kept, hidden, strict=True)))
    return infer(field, both, prior, sweeps=3, progress=progress)


def _flux_error(solution: Solution) -> Float[np.ndarray, "S B"]:
    return np.exp(solution.log_flux) * np.sqrt(np.einsum("sbb->sb", solution.log_flux_covariance))


@eqx.filter_jit
def _fit(
    stars: Float[Array, "S E"],
    galaxies: Float[Array, "S D"],
    patches: Patch,
    psf: Mixture,
    prior: Prior,
    steps: Array,
) -> _Fits:
    points = _points()
    bands = patches.counts.shape[1]

    def one(star: Array, galaxy: Array, patch: Patch) -> _Fits:
        evaluate = negative_bound(patch, psf, prior, points)
        best = [newton(evaluate, x, steps=steps) for x in (star, galaxy)]
        curved = [curvature(known.value, known.hessian, bands) for _, known in best]
        odds = jnp.log(prior.star_share / (1 - prior.star_share)) + curved[0].evidence - curved[1].evidence
        share = jax.nn.sigmoid(odds)
        parts = [split(point, bands) for point, _ in best]
        as_star, as_galaxy = (expected_counts(free, light(free, psf, points)) for free in parts)
        return _Fits(best[0][0], best[1][0], curved[0], curved[1], share, share * as_star + (1 - share) * as_galaxy)

    return jax.lax.map(lambda each: one(*each), (stars, galaxies, patches))  # one by one stays within the cache


def _points() -> Float[Array, "P 2"]:
    across, down = jnp.meshgrid(*(jnp.arange(SIDE, dtype=jnp.float32),) * 2)
    return jnp.stack([across.ravel(), down.ravel()], axis=1)


@eqx.filter_jit
def _as_star(free: Float[Array, "E"], psf: Mixture) -> Float[Array, "B P"]:
    """Expected counts of a source as a star: what it is to its neighbours before it is fitted."""
    parts = split(free, psf.weights.shape[0])
    return expected_counts(parts, light(parts, psf, _points()))


def _begin(detections: Detections, prior: Prior) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First pixels of the patches [S, 2], and where the fits begin as stars [S, E] and galaxies [S, D]."""
    position = np.stack([detections.x, detections.y], axis=1)
    corner = np.round(position).astype(int) - SIDE // 2
    flux = np.maximum(detections.flux, detections.flux_error)
    log_sd = np.log(np.clip(detections.flux_error / flux, 0.003, 0.5))
    stars = np.concatenate([np.log(flux), log_sd, position - corner], axis=1).astype(np.float32)
    shape = np.broadcast_to(np.asarray(prior.shape_mean), (len(flux), 4))
    return corner, stars, np.concatenate([stars, shape], axis=1).astype(np.float32)


def _patches(field: Field, padded: np.ndarray, near: np.ndarray, corner: np.ndarray, batch: np.ndarray) -> Patch:
    counts = np.pad(field.counts, ((0, 0), (SIDE, SIDE), (SIDE, SIDE)))
    inside = np.pad(np.ones(field.counts.shape[1:], np.float32), SIDE)
    rest = [padded[_window(corner[s])] - near[s] for s in batch]
    shape = (len(batch), field.counts.shape[0], -1)
    return Patch(
        np.stack([counts[_window(corner[s])] for s in batch]).reshape(shape).astype(np.float32),
        np.stack(rest).reshape(shape).astype(np.float32),
        np.stack([inside[_window(corner[s])[1:]] for s in batch]).reshape(len(batch), -1),
    )


def _window(corner: np.ndarray) -> tuple[slice, slice, slice]:
    """The patch in images that have a border of one patch on each side."""
    x, y = int(corner[0]) + SIDE, int(corner[1]) + SIDE
    return slice(None), slice(y, y + SIDE), slice(x, x + SIDE)


def _solution(fits: _Fits, corner: np.ndarray, model: np.ndarray, bands: int) -> Solution:
    stars = fits.star_probability > 0.5
    first = slice(2 * bands + 2)
    free = np.where(stars[:, None], fits.star, fits.galaxy[:, first])
    as_star, as_galaxy = fits.star_curvature.covariance, fits.galaxy_curvature.covariance
    size = bands + 2
    covariance = np.where(stars[:, None, None], as_star, as_galaxy[:, :size, :size])
    spread = np.sqrt(np.einsum("sii->si", covariance))
    return Solution(
        position=free[:, 2 * bands : 2 * bands + 2] + corner,
        position_sd=spread[:, bands:],
        log_flux=free[:, :bands],
        log_flux_covariance=covariance[:, :bands, :bands],
        star_probability=np.asarray(fits.star_probability),
        shape=np.asarray(fits.galaxy[:, 2 * bands + 2 :]),
        model=model,
    )


def field_figure(field: Field, solution: Solution) -> "Figure":
    """A row per band: counts, model, and the difference in standard deviations. Stars are dots, galaxies rings."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bands = len(field.bands)
    figure = Figure(figsize=(10, 3.4 * bands), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(bands, 3, squeeze=False)
    stars = solution.star_probability > 0.5
    for b, band in enumerate(field.bands):
        sky, counts, model = float(field.sky[b]), field.counts[b], solution.model[b]
        noise = np.sqrt(sky)
        for panel, image, title in ((0, counts, "image"), (1, model, "model")):
            stretched = np.arcsinh((image - sky) / (3 * noise))
            axes[b, panel].imshow(stretched, cmap="magma", origin="lower", vmin=-1, vmax=5)
            axes[b, panel].set_title(f"{band}: {title}", loc="left", fontsize=10)
        residual = axes[b, 2].imshow((counts - model) / np.sqrt(model), cmap="RdBu_r", origin="lower", vmin=-5, vmax=5)
        axes[b, 2].set_title("residual, standard deviations", loc="left", fontsize=10)
        figure.colorbar(residual, ax=axes[b, 2], shrink=0.8)
        marked = axes[b, 0]
        marked.plot(*solution.position[stars].T, ".", color="#7fd4ff", markersize=3, label="star")
        marked.plot(*solution.position[~stars].T, "o", color="#9dff9d", markersize=9, fillstyle="none", label="galaxy")
        marked.set(xlim=(-0.5, counts.shape[1] - 0.5), ylim=(-0.5, counts.shape[0] - 0.5))
    axes[0, 0].legend(fontsize=7, loc="upper right")
    return figure


def draw_field(path: str | Path, field: Field, solution: Solution) -> None:
    """Writes the picture as PNG, atomically."""
    image = io.BytesIO()
    field_figure(field, solution).savefig(image, format="png")
    atomic_write(path, image.getvalue())
