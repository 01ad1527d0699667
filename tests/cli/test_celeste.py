"""`culet celeste` as a user runs it."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from culet.astronomy import make_scene, match, read_catalogue, write_image
from culet.cli.celeste import register

pytestmark = pytest.mark.usefixtures("optimised")

app = typer.Typer()
register(app)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    pytest.importorskip("astropy")
    scene, folder = make_scene(1, sources=3, size=64), tmp_path_factory.mktemp("images")
    paths = [folder / f"{band}.fits" for band in "gr"]
    for path, counts in zip(paths, scene.field.counts, strict=False):
        write_image(path, counts / 2, path.stem, 2.0)
    return scene, [str(path) for path in paths]


def test_images_become_a_catalogue_and_a_picture(images, tmp_path):
    scene, paths = images
    out, picture = tmp_path / "c.csv", tmp_path / "p.png"
    arguments = [*paths, "--out", str(out), "--fwhm", "3.4", "--fwhm", "3.0", "--picture", str(picture)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0 and "stars and" in done.stdout and picture.stat().st_size > 5000
    table = read_catalogue(out)
    rows, true = match(np.stack([table["x"], table["y"]], axis=1), scene.position, 1.0)
    assert len(rows) == 3
    np.testing.assert_allclose(table["flux_g"][rows], scene.flux[true, 0] / 2, rtol=0.4)


def test_bad_options_are_told_before_the_work(images, tmp_path):
    _, paths = images
    for arguments, told in (
        (["--out", "c.txt"], r"written as \.csv or \.fits"),
        (["--out", str(tmp_path / "c.csv"), *["--gain", "1"] * 3], "--gain is given 3 times for 2 images"),
    ):
        with pytest.raises(ValueError, match=told):
            CliRunner().invoke(app, [*paths, *arguments], catch_exceptions=False)
