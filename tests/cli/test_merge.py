"""`culet merge` on folders: what it writes is the merge, and what cannot be merged leaves nothing behind."""

import jax
import numpy as np
import pytest

from culet.align import interpolate, slerp
from culet.lm import load, save, scaled, train_tokenizer
from tests.cli.test_cli import Cli


@pytest.fixture
def cli(monkeypatch, capfd):
    return Cli(monkeypatch, capfd)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three models of one shape, a base and two others, and one of another shape."""
    folder = tmp_path_factory.mktemp("merge")
    tokenizer = train_tokenizer([f"line {i}: the cat saw {i * i} dogs." for i in range(40)], 400)
    for number, (name, width) in enumerate((("base", 16), ("a", 16), ("b", 16), ("wide", 32))):
        config = scaled("gemma-2-2b", layers=2, width=width, heads=2, vocabulary=tokenizer.vocabulary)
        save(folder / name, config.init(jax.random.key(number)), tokenizer)
    return folder


def leaves(folder):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(load(folder)[0])]


def test_merging_on_the_arc_and_part_of_the_way_back(cli, folders, tmp_path):
    models = [folders / "a", folders / "b"]
    out, _ = cli("merge", *models, "--base", folders / "base", "--out", tmp_path / "m", "--share", 0.3)
    base, a, b = (load(folders / name)[0] for name in ("base", "a", "b"))
    expected = interpolate(base, slerp(base, [a, b]), 0.3)
    for found, wanted in zip(leaves(tmp_path / "m"), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert "updates of the base: 60 to 60 degrees" in out and "2 models merged by slerp" in out


def test_a_weighted_average_in_shards_of_another_dtype(cli, folders, tmp_path):
    cli("convert", folders / "a", tmp_path / "sharded", "--max-shard-gb", 0.001, "--dtype", "bfloat16")
    chosen = ("--method", "average", "--weight", 3, "--weight", 1, "--dtype", "float32")
    cli("merge", tmp_path / "sharded", folders / "b", *chosen, "--out", tmp_path / "m")
    sides = (leaves(tmp_path / "sharded"), leaves(folders / "b"), leaves(tmp_path / "m"))
    for a, b, found in zip(*sides, strict=True):
        np.testing.assert_allclose(found, 0.75 * a.astype(np.float32) + 0.25 * b, atol=1e-6)
        assert found.dtype == np.float32


def test_what_cannot_be_merged(cli, folders, tmp_path):
    a, out = folders / "a", ("--out", tmp_path / "m")
    assert "need --base" in cli.fails("merge", a, folders / "b", *out)
    assert "--weight is for" in cli.fails("merge", a, "--base", folders / "base", "--weight", 1, *out)
    assert "cannot be merged: " in cli.fails("merge", a, folders / "wide", "--method", "average", *out)
    said = cli.fails("merge", a, a, "--method", "average", "--weight", 1, *out)
    assert "expected one weight per model, got 1 weights for 2 models" in said
    assert str(tmp_path / "none") in cli.fails("merge", a, tmp_path / "none", "--method", "average", *out)
    assert not (tmp_path / "m").exists()
