"""TensorFlow Distributions (Dillon and others, 2017): what its parts, composed, can do.

Axis letters: N images, S images shown.
"""

import functools
import gzip
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from culet.experiments.experiment import Claim, Experiment, Findings, Metric, Scale, Variant, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS, SIDE, SHOWN = 17, 8, 12
DIMENSIONS = SIDE * SIDE


class Sizes(NamedTuple):
    """Of the data, the models and their training."""

    images: int  # to learn from, and to draw
    kept: int  # images kept back
    made_up: bool  # strokes in place of digits, where no folder of data is given
    pixel_cnn: Mapping[str, Any]
    reversible: Mapping[str, int]
    flow_layers: int
    turns: int  # of what is timed: milliseconds at smoke scale


SIZES: Mapping[Scale, Sizes] = {
    "smoke": Sizes(
        images=512, kept=256, made_up=True,
        pixel_cnn={"channels": 16, "depth": 1, "steps": 300, "learning_rate": 1e-2},
        reversible={"layers": 2, "steps": 20}, flow_layers=1, turns=20,
    ),
    "laptop": Sizes(
        images=8192, kept=1000, made_up=False,
        pixel_cnn={"channels": 64, "depth": 4, "steps": 1000, "learning_rate": 2e-3},
        reversible={"layers": 12, "steps": 400}, flow_layers=4, turns=3,
    ),
}  # fmt: skip

Found = Mapping[str, Any]


def _draw_together(seed: int, scale: Scale) -> Found:
    """Seconds in which an inverse autoregressive flow draws images and scores them as it goes."""
    flow, key = _inverse_flow(seed, scale)
    values, scores = _call(flow, "sample_and_log_prob", key, (SIZES[scale].images,))
    again = np.asarray(_call(flow, "log_prob", values))
    return {
        "seconds": _seconds(
            lambda: _call(flow, "sample_and_log_prob", key, (SIZES[scale].images,)), SIZES[scale].turns
        ),
        "difference": np.max(np.abs((again - np.asarray(scores)) / again)),
        "budget": SIZES[scale].images,
    }


def _draw_then_score(seed: int, scale: Scale) -> Found:
    """Seconds in which the same flow draws as many images, and then scores what it is given as if it were new."""
    flow, key = _inverse_flow(seed, scale)

    def draw_and_score() -> Any:
        return _call(flow, "log_prob", _call(flow, "sample", key, (SIZES[scale].images,)))

    draw_and_score().block_until_ready()
    return {"seconds": _seconds(draw_and_score, SIZES[scale].turns), "budget": SIZES[scale].images}


def _call(model: Any, method: str, *arguments: Any) -> Any:
    """A method of a model, compiled once for all variants and seeds."""
    return _compiled(method)(model, *arguments)


@functools.cache
def _compiled(method: str) -> Any:
    import equinox as eqx

    return eqx.filter_jit(lambda model, *arguments: getattr(model, method)(*arguments))


def _inverse_flow(seed: int, scale: Scale) -> tuple[Any, Any]:
    import jax

    from culet.distributions import inverse_autoregressive_flow

    flow_key, key = jax.random.split(jax.random.key(seed))
    return inverse_autoregressive_flow(flow_key, DIMENSIONS, layers=SIZES[scale].flow_layers, width=128), key


def _seconds(call: Any, turns: int) -> float:
    """The least of some turns, after compilation."""
    import jax

    def once() -> float:
        start = time.perf_counter()
        jax.block_until_ready(call())
        return time.perf_counter() - start

    return min(once() for _ in range(turns))


def _pixel_cnn(seed: int, scale: Scale, independent: bool = False) -> Found:
    """Bits per dimension of a PixelCNN on images kept back; `independent` spoils what it learns from."""
    import jax

    from culet.distributions import CategoricalPixels, PixelCNN, fit_to_data

    images, held_out = _images(seed, scale)
    if independent:
        images = np.random.default_rng(seed).permuted(images, axis=0)
    channels, depth, steps, rate = SIZES[scale].pixel_cnn.values()
    init_key, key = jax.random.split(jax.random.key(seed))
    model = PixelCNN((SIDE, SIDE), CategoricalPixels(LEVELS), channels=channels, depth=depth, key=init_key)
    model, _ = fit_to_data(model, images, steps=steps, batch_size=64, learning_rate=rate, seed=seed, progress=False)
    drawn = _call(model, "sample", key, (SHOWN,))
    return {"bits": _bits(_call(model, "log_prob", held_out)), "shown": drawn, "budget": len(images)}


def _factorised(seed: int, scale: Scale) -> Found:
    """Bits per dimension of a table of the levels of each pixel, smoothed as is best for the images kept back."""
    images, held_out = _images(seed, scale)
    counts = (images[..., None] == np.arange(LEVELS)).sum(0)
    best = math.inf
    for smoothing in (0.01, 0.03, 0.1, 0.3, 1.0):
        shares = (counts + smoothing) / (len(images) + LEVELS * smoothing)
        scores = np.log(np.take_along_axis(shares[None], held_out[..., None], -1)).sum((1, 2, 3))
        best = min(best, _bits(scores))
    return {"bits": best, "shown": held_out[:SHOWN], "budget": len(images)}


def _bits(scores: Any) -> float:
    return float(-np.mean(np.asarray(scores, np.float64)) / (DIMENSIONS * math.log(2)))


def _reversible(seed: int, scale: Scale) -> Found:
    """The largest error with which a fitted reversible residual network gives back images it was sent."""
    import jax

    from culet.distributions import ShiftMap, coupling_flow, fit_to_data

    images, held_out = _images(seed, scale)
    size = SIZES[scale].reversible
    noise = np.random.default_rng(seed).random((2, *images.shape))
    smooth, kept = (
        ((part + noise[i, : len(part)]) / LEVELS - 0.5).astype(np.float32).reshape(len(part), DIMENSIONS)
        for i, part in enumerate((images, held_out))
    )
    flow = coupling_flow(jax.random.key(seed), DIMENSIONS, layers=size["layers"], width=64, number_map=ShiftMap())
    flow, _ = fit_to_data(flow, smooth, steps=size["steps"], seed=seed, progress=False)
    back = _call(flow.bijector, "forward", _call(flow.bijector, "inverse", kept))
    return {"error": np.max(np.abs(np.asarray(back) - kept)), "budget": len(images)}


def _images(seed: int, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 8, 8] of 0 to 16 to learn from, and others kept back; other ones for other seeds."""
    generator = np.random.default_rng(seed)
    count, kept = SIZES[scale].images, SIZES[scale].kept
    folder = os.environ.get("CULET_DATA")
    if folder is None and SIZES[scale].made_up:
        images = _strokes(generator, count + kept)
    else:
        digits = _digits(folder)
        images = digits[generator.permutation(len(digits))[: count + kept]]
    return images[:count], images[count:]


@functools.cache
def _digits(folder: str | None) -> np.ndarray:
    """MNIST's training images, 4 by 4 pixels to one: how many of the 16 are bright. Raises OSError without them."""
    file = Path(folder or ".") / "mnist" / "train-images-idx3-ubyte.gz"
    if folder is None or not file.is_file():
        raise OSError(f"this scale needs MNIST: set CULET_DATA to a folder with {file.parent.name}/{file.name}")
    pixels = np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)
    bright = np.pad(pixels > 127, ((0, 0), (2, 2), (2, 2)))
    return bright.reshape(-1, SIDE, 4, SIDE, 4).sum((2, 4)).astype(np.int32)


def _strokes(generator: np.random.Generator, count: int) -> np.ndarray:
    """Figures of two thick strokes, in place of digits."""
    ends = generator.uniform(1, SIDE - 2, (count, 2, 2, 2, 1, 1))
    grid = np.indices((SIDE, SIDE)).astype(float)
    start, stop = ends[:, :, 0], ends[:, :, 1]
    along = ((grid - start) * (stop - start)).sum(2, keepdims=True) / ((stop - start) ** 2).sum(2, keepdims=True)
    nearest = start + np.clip(along, 0, 1) * (stop - start)
    distance = np.sqrt(((grid - nearest) ** 2).sum(2)).min(1)
    return np.round((LEVELS - 1) * np.clip(1.6 - distance, 0, 1)).astype(np.int32)


def _figure(findings: Findings) -> "Figure":
    from matplotlib.figure import Figure

    from culet.core.plot import COLOURS

    figure = Figure(figsize=(11, 4), dpi=150, layout="constrained")
    bars, times, shown = figure.subplots(1, 3, width_ratios=(1, 1, 1.6))
    _bars(bars, findings, {"factorised": "factorised", "pixelcnn": "PixelCNN"}, "bits", "bits per dimension", COLOURS)
    names = {"drawn, then scored": "drawn,\nthen scored", "scored as drawn": "scored\nas drawn"}
    _bars(times, findings, names, "seconds", "seconds (IAF, 64 numbers)", COLOURS)
    times.set_yscale("log")
    rows = [np.concatenate(list(findings[name]["shown"][0][:6]), 1) for name in ("factorised", "pixelcnn")]
    shown.imshow(np.concatenate(rows), cmap="gray_r")
    shown.set_title("images (above) and samples of the PixelCNN", fontsize=10)
    shown.set_axis_off()
    return figure


def _bars(axes: Any, findings: Findings, names: Mapping[str, str], metric: str, label: str, colours: Any) -> None:
    for i, (name, words) in enumerate(names.items()):
        values = findings[name][metric]
        axes.bar(words, np.mean(values), color=colours[i])
        axes.plot([words] * len(values), values, "o", color="black", markersize=3)
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)


experiment = Experiment(
    slug="tf-distributions",
    question="Do distributions and bijectors of one protocol compose into deep generative models, and does a flow "
    "score its own samples without inverting them?",
    metrics=(
        Metric(name="bits", unit="bits per dimension", better="lower"),
        Metric(name="seconds", unit="s", better="lower"),
        Metric(name="error", unit="of pixels in [-0.5, 0.5]", better="lower"),
        Metric(name="difference", unit="relative, of both scores", better="lower"),
    ),
    budget_unit="images learnt from, or drawn",
    variants={
        "scored as drawn": Variant(
            description="an inverse autoregressive flow of 64 numbers: sample_and_log_prob",
            run=per_seed(_draw_together),
        ),
        "drawn, then scored": Variant(
            description="the same flow: sample, and log_prob of the sample, which inverts",
            run=per_seed(_draw_then_score),
        ),
        "pixelcnn": Variant(
            description="PixelCNN of masked convolutions, a categorical per pixel", run=per_seed(_pixel_cnn)
        ),
        "factorised": Variant(
            description="an independent categorical per pixel, from counts", run=per_seed(_factorised)
        ),
        "reversible": Variant(description="a reversible residual network, fitted", run=per_seed(_reversible)),
    },
    claims=(
        Claim(
            text="An inverse autoregressive flow of 64 numbers scores its own samples at least 20 times faster than it "
            "scores given ones",
            margin=lambda findings: findings["drawn, then scored"]["seconds"] / findings["scored as drawn"]["seconds"],
            at_least=20.0,
        ),
        Claim(
            text="Both scores are equal to 1e-4",
            margin=lambda findings: 1e-4 - findings["scored as drawn"]["difference"],
            at_least=0.0,
        ),
        Claim(
            text="PixelCNN needs at least 15% fewer bits per dimension than independent pixels, on images kept back",
            margin=lambda findings: 1 - findings["pixelcnn"]["bits"] / findings["factorised"]["bits"],
            at_least=0.15,
        ),
        Claim(
            text="A reversible network gives its input back to 1e-4",
            margin=lambda findings: 1e-4 - findings["reversible"]["error"],
            at_least=0.0,
        ),
    ),
    control={
        "scored as drawn": Variant(
            description="what was drawn is inverted to be scored, as without the paper's cache",
            run=per_seed(lambda seed, scale: {**_draw_then_score(seed, scale), "difference": 0.0}),
        ),
        "pixelcnn": Variant(
            description="PixelCNN that learns from images whose pixels come from different images each",
            run=per_seed(functools.partial(_pixel_cnn, independent=True)),
        ),
    },
    figure=_figure,
    deviations="The paper measures nothing; these are claims about what it says can be built. There is no cache: "
    "sample_and_log_prob returns both. Digits of 8 by 8 pixels and 17 levels are made of MNIST; at smoke scale without "
    "CULET_DATA, of drawn strokes. The table of independent pixels is smoothed as is best for it on the very images "
    "that score it.",
    usage="flow = culet.distributions.masked_autoregressive_flow(key, 8)\n"
    "flow, history = culet.distributions.fit_to_data(flow, data)",
)
