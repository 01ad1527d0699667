import matplotlib.image
import numpy as np
import pytest

from culet import core


def test_draws_what_it_is_given(tmp_path):
    x = np.arange(100)
    core.line_plot(tmp_path / "flat.png", {"a": (x, np.ones(100))}, "x", "y", "title")
    core.line_plot(tmp_path / "two.png", {"a": (x, 1.0 + x), "b": ([3], [5])}, "x", "y", "title", logy=True)
    flat, two = (matplotlib.image.imread(tmp_path / name) for name in ("flat.png", "two.png"))
    assert flat.shape[:2] == two.shape[:2] == (750, 1200)
    blue = np.array([0x1F, 0x5A, 0x99]) / 255
    rows, columns = np.nonzero((np.abs(flat[..., :3] - blue) < 0.02).all(axis=-1))
    assert np.ptp(rows) < 6  # a constant is a level line
    assert np.ptp(columns) > 900
    orange = np.array([0xD1, 0x62, 0x2B]) / 255
    assert (np.abs(two[..., :3] - orange) < 0.02).all(axis=-1).any()


def test_runs_are_drawn_as_their_mean_within_a_band(tmp_path):
    x = np.arange(100)
    runs = np.tile([0.0, 1.0, 5.0], (100, 1))
    runs[:50, 2] = np.nan
    core.line_plot(tmp_path / "a.png", {"runs": (x, runs)}, "x", "y", "title")
    pixels = matplotlib.image.imread(tmp_path / "a.png")[..., :3]
    blue = np.array([0x1F, 0x5A, 0x99]) / 255
    band = np.abs(pixels - (0.2 * blue + 0.8)).max(axis=-1) < 0.02
    first, second = band[:, 250:550].sum(axis=0), band[:, 750:1050].sum(axis=0)
    np.testing.assert_allclose(second / first, 5, rtol=0.1)  # from 0 to 1, and from 0 to 5
    rows = [np.flatnonzero((np.abs(pixels[:, i] - blue) < 0.02).all(axis=-1)).mean() for i in (400, 900)]
    top, bottom = np.flatnonzero(band[:, 900])[[0, -1]]
    np.testing.assert_allclose([(bottom - row) / (bottom - top) for row in rows], [0.1, 0.4], atol=0.01)  # the means


def test_a_seventh_curve_differs_from_the_first(tmp_path):
    """Both are blue; the seventh has gaps."""
    x = np.arange(10)
    blue = np.array([0x1F, 0x5A, 0x99]) / 255
    widths = []
    for shown in (0, 6):  # the others are out of sight
        curves = {str(i): (x, np.full(10, 1.0 if i == shown else np.nan)) for i in range(7)}
        core.line_plot(tmp_path / "a.png", curves, "x", "y", "title")
        pixels = matplotlib.image.imread(tmp_path / "a.png")[:, 200:, :3]  # beside the legend
        widths.append(np.all(np.abs(pixels - blue) < 0.02, axis=-1).any(axis=0).sum())
    assert widths[0] > 800 and 0.4 * widths[0] < widths[1] < 0.9 * widths[0]


def test_curves_must_match(tmp_path):
    with pytest.raises(ValueError, match="'a' has 2 x values but 3 y values"):
        core.line_plot(tmp_path / "a.png", {"a": ([1, 2], [1, 2, 3])}, "", "", "")
    assert not list(tmp_path.iterdir())
