"""Celeste (Regier et al., 2015): a generative model of images measures stars and galaxies better than apertures do.

Axis letters: N seeds, S sources of a field.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.astronomy import Scene

SIZES: Mapping[Scale, Mapping[str, int]] = {"smoke": {"sources": 4, "size": 64, "bands": 2}, "laptop": {}}  # of a scene
_RADIUS = 2.0  # pixels within which a source counts as found
_TOO_WIDE = 1.5  # what the control multiplies the point spread function's width by


def _scene(seed: int, scale: Scale) -> "Scene":
    from culet.astronomy import make_scene

    return make_scene(seed, **SIZES[scale])


def _celeste(seed: int, scale: Scale) -> Mapping[str, Any]:
    return _fitted(_scene(seed, scale), 1.0)


def _blurred(seed: int, scale: Scale) -> Mapping[str, Any]:
    return _fitted(_scene(seed, scale), _TOO_WIDE)


def _fitted(scene: "Scene", wider: float) -> Mapping[str, Any]:
    import equinox as eqx

    from culet.astronomy import sky_prior, survey

    field = eqx.tree_at(lambda f: f.psf.covariances, scene.field, scene.field.psf.covariances * wider**2)
    detected = survey(field, sky_prior(len(field.bands)), progress=False)
    sd = np.sqrt(np.einsum("sbb->sb", detected.log_flux_covariance))
    measured = _against(scene, detected.position, detected.log_flux, sd, detected.star_probability > 0.5)
    return measured | {"image": scene.field.counts[0], "residual": scene.field.counts[0] - detected.model[0]}


def _apertures(seed: int, scale: Scale) -> Mapping[str, Any]:
    from culet.astronomy import detect

    scene = _scene(seed, scale)
    detected = detect(scene.field)
    flux = np.maximum(detected.flux, detected.flux_error)
    position = np.stack([detected.x, detected.y], axis=1)
    return _against(scene, position, np.log(flux), detected.flux_error / flux, detected.star)


def _against(scene: "Scene", position: Any, log_flux: Any, sd: Any, star: Any) -> dict[str, Any]:
    """Errors by true source, negative where it was not found [S], and their summaries."""
    from culet.astronomy import match
    from culet.astronomy.catalogue import Z90

    rows, true = match(position, scene.position, _RADIUS)
    truth = np.log(scene.flux[true])
    magnitude = 2.5 / np.log(10)
    missing = np.full(len(scene.position), -1.0)
    errors = {name: missing.copy() for name in ("position_errors", "colour_errors")}
    errors["position_errors"][true] = np.linalg.norm(position[rows] - scene.position[true], axis=1)
    colours = np.diff(log_flux[rows], axis=1) - np.diff(truth, axis=1)
    errors["colour_errors"][true] = magnitude * np.abs(colours).mean(axis=1)
    summaries = {
        "position_error": errors["position_errors"][true].mean(),
        "median_position_error": np.median(errors["position_errors"][true]),
        "colour_error": errors["colour_errors"][true].mean(),
        "median_colour_error": np.median(errors["colour_errors"][true]),
        "magnitude_error": magnitude * np.abs(log_flux[rows] - truth).mean(),
        "coverage": (np.abs(log_flux[rows] - truth) < Z90 * sd[rows]).mean(),
        "type_accuracy": (star[rows] == scene.star[true]).mean(),
        "found": len(rows) / len(scene.position),
        "false": 1 - len(rows) / len(position),
    }
    return errors | {name: np.asarray(value) for name, value in summaries.items()} | {"budget": np.asarray(3)}


def _lower_by(name: str) -> Any:
    """How much lower the model's mean error is, as a share of the baseline's, over sources that both found [N]."""

    def margin(findings: Findings) -> np.ndarray:
        ours, theirs = (np.asarray(findings[variant][name]) for variant in ("celeste", "apertures"))
        both = (ours >= 0) & (theirs >= 0)
        means = [np.where(both, errors, 0).sum(axis=1) / both.sum(axis=1) for errors in (ours, theirs)]
        return 1 - means[0] / means[1]

    return margin


def _coverage(findings: Findings) -> np.ndarray:
    """How far within .8 to .98 the coverage lies, negative outside [N]."""
    share = np.asarray(findings["celeste"]["coverage"])
    return np.minimum(share - 0.8, 0.98 - share)


def _figure(findings: Findings) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from culet.core.plot import COLOURS

    figure = Figure(figsize=(11, 7.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(2, 2)
    image, residual = (np.asarray(findings["celeste"][name])[0] for name in ("image", "residual"))
    spread = np.sqrt(np.median(image))
    axes[0, 0].imshow(np.arcsinh((image - np.median(image)) / (3 * spread)), cmap="magma", origin="lower")
    axes[0, 0].set_title("A field, first band", loc="left")
    axes[0, 1].imshow(residual / spread, cmap="RdBu_r", origin="lower", vmin=-5, vmax=5)
    axes[0, 1].set_title("What the model leaves, in deviations of the sky", loc="left")
    panels = (("position_errors", "position error, pixels"), ("colour_errors", "colour error, magnitudes"))
    for panel, (name, label) in zip(axes[1], panels, strict=True):
        for colour, (variant, measured) in zip(COLOURS, findings.items(), strict=False):
            errors = np.sort(np.asarray(measured[name]).ravel())
            errors = errors[errors >= 0]
            panel.plot(errors, np.arange(1, errors.size + 1) / errors.size, label=variant, color=colour)
        panel.set(xscale="log", xlabel=label, ylabel="share of sources below")
        panel.legend(frameon=False)
    return figure


experiment = Experiment(
    slug="celeste",
    question="Does a generative model with a posterior place sources and measure colours better than a matched filter "
    "and apertures on the same images, and do its intervals hold the truth?",
    metrics=(
        Metric(name="position_error", unit="pixels, mean", better="lower"),
        Metric(name="colour_error", unit="magnitudes, mean", better="lower"),
        Metric(name="median_position_error", unit="pixels", better="lower"),
        Metric(name="median_colour_error", unit="magnitudes", better="lower"),
        Metric(name="magnitude_error", unit="magnitudes, mean", better="lower"),
        Metric(name="coverage", unit="of 90% flux intervals", better="higher"),
        Metric(name="type_accuracy", unit="stars and galaxies told apart", better="higher"),
        Metric(name="found", unit="of the true sources", better="higher"),
        Metric(name="false", unit="of the catalogue", better="lower"),
    ),
    budget_unit="images of the field",
    variants={
        "celeste": Variant(
            description="the model fitted to all bands at once, neighbours held fixed", run=per_seed(_celeste)
        ),
        "apertures": Variant(description="matched filter, apertures of 0.8 FWHM, ring sky", run=per_seed(_apertures)),
    },
    claims=(
        Claim(
            text="The mean position error is at least 30% below the baseline's.",
            margin=_lower_by("position_errors"),
            at_least=0.3,
        ),
        Claim(
            text="The mean colour error is at least 30% below the baseline's.",
            margin=_lower_by("colour_errors"),
            at_least=0.3,
        ),
        Claim(text="The 90% intervals of fluxes hold the truth in 80 to 98% of cases.", margin=_coverage, at_least=0.0),
    ),
    control={
        "celeste": Variant(
            description="the model told of a point spread function 1.5 times too wide", run=per_seed(_blurred)
        )
    },
    figure=_figure,
    computes_at_smoke=True,
    deviations="Fields of 3 bands, 128 x 128 pixels and 40 sources drawn from the model's own prior stand for SDSS; "
    "the sky has 100 counts, and no two sources are nearer than 5 pixels. A log-normal flux per band and type in place "
    "of a reference flux and colours; each type has a posterior of its own and is weighed by its evidence, with "
    "Laplace's volume for position and shape; variances by linear response; Newton's method in place of L-BFGS; a "
    "second detection in the residual.",
    usage="culet celeste g.fits r.fits i.fits --fwhm 3.2 --out catalogue.csv --picture field.png",
)
