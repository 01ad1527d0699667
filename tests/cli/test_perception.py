"""`culet texture` and `culet disentangle` as a user runs them."""

import matplotlib.image
import numpy as np
import pytest
import scipy.io.wavfile
import typer
from typer.testing import CliRunner

from culet.audio.textures.sources import rain
from culet.cli import perception

SIZES = {"rate": 2000, "window": 64, "filters": 4, "widths": 2, "iterations": 2, "phase-iterations": 2}
TINY = [word for name, value in SIZES.items() for word in (f"--{name}", str(value))]


@pytest.fixture
def run():
    app = typer.Typer(rich_markup_mode="rich")
    perception.register(app)

    def command(*arguments, fails=None):
        found = CliRunner().invoke(app, [str(one) for one in arguments])
        if fails is None:
            assert found.exit_code == 0, found.output
        else:  # `culet.cli.app` makes one line of these
            assert fails in str(found.exception) and isinstance(found.exception, ValueError | OSError)
        return found.output

    return command


def test_help_teaches(run):
    for command, option in (("texture", "--rhythm"), ("disentangle", "--capacity")):
        out = run(command, "--help")
        assert "Usage:" in out and f"culet {command}" in out and option in out


@pytest.mark.parametrize(("own", "worked"), [(4000, 2000), (1000, 1000)], ids=["resampled", "of a lower rate"])
def test_texture(run, tmp_path, own, worked):
    source = np.stack([rain(1.0, own, 0), rain(1.0, own, 1)], axis=1)  # stereo
    scipy.io.wavfile.write(tmp_path / "in.wav", own, source)
    out = run("texture", tmp_path / "in.wav", "--out", tmp_path / "out.wav", "--seconds", 0.8, "--diversity", 0, *TINY)
    assert "0.8 s; gram 0." in out and "rhythm" in out and "diversity" not in out  # it was switched off
    rate, samples = scipy.io.wavfile.read(tmp_path / "out.wav")
    assert rate == worked and samples.shape == (round(0.8 * worked),) and np.abs(samples).max() > 100
    assert matplotlib.image.imread(tmp_path / "out.png")[..., :3].std() > 0.05


def test_disentangle(run, tmp_path):
    np.savez(tmp_path / "images.npz", np.random.default_rng(0).random((6, 16, 16)))
    out = run(
        "disentangle", tmp_path / "images.npz", "--out", tmp_path / "run", "--size", 16,
        "--steps", 2, "--batch-size", 2, "--latents", 2,
    )  # fmt: skip
    assert "of 2 latents" in out
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"traversals.png", "latents.png", "codes.npz", "log.jsonl"} <= names


def test_bad_input(run, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"OggS")
    run("texture", tmp_path / "a.wav", "--out", tmp_path / "b.wav", fails="not a readable WAV")
    run("texture", tmp_path / "a.wav", "--out", tmp_path / "b.mp3", fails="must be the name of a .wav file")
    run("texture", tmp_path / "a.wav", "--out", tmp_path / "b.wav", "--gram", 0, "--rhythm", 0, fails="both 0")
    run("texture", tmp_path / "a.wav", "--out", tmp_path / "a.wav", fails="is the source itself")
    (tmp_path / "b.wav").mkdir()
    scipy.io.wavfile.write(tmp_path / "c.wav", 4000, rain(1.0, 4000, 0))
    run("texture", tmp_path / "c.wav", "--out", tmp_path / "b.wav", fails="cannot be written")
    run("texture", tmp_path / "c.wav", "--out", tmp_path / "c.wav" / "d.wav", fails="File exists")
    (tmp_path / "b.wav").rmdir()
    (tmp_path / "c.wav").unlink()
    run("disentangle", tmp_path / "none", "--out", tmp_path / "run", fails="neither a folder of images")
    run("disentangle", tmp_path, "--out", tmp_path.parent / "run", fails="has no image files")
    run("disentangle", tmp_path, "--out", tmp_path / "run", fails="taken for images")
    np.savez(tmp_path / "images.npz", np.zeros((2, 20, 20)))
    run("disentangle", tmp_path / "images.npz", "--out", tmp_path / "run", "--size", 20, fails="multiples of 8")
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "images.npz"}
