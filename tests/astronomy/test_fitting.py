"""Detection and fits on small drawn fields, one compilation for all."""

import jax.numpy as jnp
import numpy as np
import pytest

from culet.astronomy import (
    Scene,
    detect,
    draw_field,
    infer,
    make_scene,
    match,
    measure_fwhm,
    sky_prior,
    survey,
)
from culet.astronomy.catalogue import Z90, catalogue_columns
from culet.astronomy.detection import Detections, band_psf, psf_width
from culet.astronomy.fitting import Solution

pytestmark = pytest.mark.usefixtures("optimised")

BANDS = 3


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(3, sources=8, size=64)


@pytest.fixture(scope="module")
def solution(scene) -> Solution:
    return survey(scene.field, sky_prior(BANDS), progress=False)


def test_a_scene_is_drawn_as_it_says(scene):
    again = make_scene(3, sources=8, size=64)
    np.testing.assert_array_equal(scene.field.counts, again.field.counts)
    distances = np.linalg.norm(scene.position[:, None] - scene.position[None], axis=2) + 99 * np.eye(8)
    assert distances.min() > 5 and scene.field.counts.shape == (BANDS, 64, 64)
    light = scene.field.counts.sum((1, 2)) - 100 * 64 * 64
    np.testing.assert_allclose(light, scene.flux.sum(axis=0), rtol=0.2)
    with pytest.raises(ValueError, match="do not fit"):
        make_scene(0, sources=100, size=32)


def test_detection_finds_places_and_fluxes_of_stars(scene):
    found = detect(scene.field)
    rows, true = match(np.stack([found.x, found.y], axis=1), scene.position, 2.0)
    assert len(rows) >= 7 and len(found.x) <= 9
    stars = scene.star[true]
    pulls = (found.flux[rows] - scene.flux[true])[stars] / found.flux_error[rows][stars]
    assert np.median(np.abs(pulls)) < 2
    assert len(detect(scene.field, threshold=1e4).x) == 0
    with pytest.raises(ValueError, match="not positive"):
        detect(scene.field, threshold=0.0)


def test_the_fit_is_nearer_than_the_detection_and_knows_how_near(scene, solution):
    found = detect(scene.field)
    errors = []
    for position in (np.stack([found.x, found.y], axis=1), solution.position):
        rows, true = match(position, scene.position, 2.0)
        errors.append(np.linalg.norm(position[rows] - scene.position[true], axis=1).mean())
    assert errors[1] < errors[0]
    rows, true = match(solution.position, scene.position, 2.0)
    sd = np.sqrt(np.einsum("sbb->sb", solution.log_flux_covariance))[rows]
    inside = np.abs(solution.log_flux[rows] - np.log(scene.flux[true])) < Z90 * sd
    assert inside.mean() > 0.7 and sd.max() < 0.5
    assert ((solution.star_probability[rows] > 0.5) == scene.star[true]).mean() > 0.8


def test_the_model_leaves_noise(scene, solution):
    residual = (scene.field.counts - solution.model) / np.sqrt(solution.model)
    assert residual.std() == pytest.approx(1, abs=0.08) and abs(residual.mean()) < 0.05


def test_columns_and_picture(scene, solution, tmp_path):
    table = catalogue_columns(solution, scene.field)
    assert all(len(values) == len(solution.position) for values in table.values())
    assert (table["flux_band0_low"] < table["flux_band0"]).all() and (
        table["flux_band0"] < table["flux_band0_high"]
    ).all()
    expected = 2.5 * np.log10(table["flux_band1"] / table["flux_band0"])
    np.testing.assert_allclose(table["band0-band1"], expected, rtol=1e-3, atol=1e-4)
    assert np.isnan(table["angle"]).sum() == (solution.star_probability > 0.5).sum()
    draw_field(tmp_path / "a.png", scene.field, solution)
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_nothing_to_fit_and_a_prior_of_other_bands(scene):
    none = Detections(
        *(np.zeros((0, BANDS)) if name in ("flux", "flux_error") else np.zeros(0) for name in Detections._fields)
    )
    with pytest.raises(ValueError, match="lower threshold"):
        infer(scene.field, none, sky_prior(BANDS))
    with pytest.raises(ValueError, match="prior has 1 colours and the field 2"):
        infer(scene.field, detect(scene.field), sky_prior(2))


def test_the_width_of_stars_is_measured(scene):
    for band in range(BANDS):
        width = psf_width(band_psf(scene.field, band))
        assert measure_fwhm(scene.field.counts[band]) == pytest.approx(width, rel=0.12)
    with pytest.raises(ValueError, match="say --fwhm"):
        measure_fwhm(np.random.default_rng(0).normal(size=(50, 50)))
    assert jnp.ndim(scene.field.psf.weights) == 2
