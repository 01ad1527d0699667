"""The trainer does what the recipe says; users' images go through to pictures and codes."""

import dataclasses
import functools
import io
import json
import zipfile

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest
from PIL import Image

from culet.generative import (
    AutoEncoder,
    CapacityRecipe,
    DenseAutoEncoder,
    SpriteBatches,
    draw_sprites,
    encode,
    random_factors,
    read_images,
    study,
    study_images,
    train_autoencoder,
    traversals,
)
from culet.generative.training import objective

RECIPE = CapacityRecipe(steps=30, batch_size=8, latents=3, capacity=6.0, growth=0.5, gamma=20.0, learning_rate=1.5e-3)


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """A folder of images, a run on it, and what it returned."""
    folder = tmp_path_factory.mktemp("study")
    images = np.asarray(draw_sprites(jnp.asarray(random_factors(20, np.random.default_rng(0))), 16))
    for i, image in enumerate(images):
        file = folder / "images" / f"{i % 2}" / f"{i:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        matplotlib.image.imsave(file, image[..., 0], cmap="gray", vmin=0, vmax=1)
    found = study_images(folder / "images", folder / "run", RECIPE, 16, progress=False)
    return folder, images, found


def test_capacity_grows_in_a_line():
    assert [RECIPE.weights_at(step)["capacity"] for step in (0, 5, 15, 29)] == [0, 2, 6, 6]
    assert RECIPE.weights_at(3)["gamma"] == 20


def test_the_objective_is_the_bound_of_a_sampled_code(getkey):
    """By numpy in float64, with the same noise; the capacity is far above what a new network tells."""
    model = eqx.filter_jit(AutoEncoder)((16, 16, 1), 3, width=2, hidden=4, key=getkey())
    model = eqx.tree_at(lambda m: m.code.bias, model, jnp.array([0.5, -1.0, 0.2, 0.7, -0.4, 1.1]))
    images, noise_key = SpriteBatches(4, size=16)[0]["images"], getkey()
    batch = {"images": images, "beta": jnp.float32(0.5), "gamma": jnp.float32(3), "capacity": jnp.float32(20)}
    loss = eqx.filter_jit(objective)(model, batch, noise_key)
    codes = jax.jit(jax.vmap(model.encode))(images)
    mean, log_variance = np.asarray(codes.loc, np.float64), 2 * np.log(np.asarray(codes.scale, np.float64))
    code = mean + np.exp(log_variance / 2) * np.asarray(jax.random.normal(noise_key, (4, 3)))
    logits = jax.jit(jax.vmap(model.decode))(jnp.asarray(code, jnp.float32)).logits
    drawn = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    pixels = np.asarray(images, np.float64)
    error = -np.sum(pixels * np.log(drawn) + (1 - pixels) * np.log1p(-drawn)) / 4
    divergence = np.sum(np.square(mean) + np.exp(log_variance) - 1 - log_variance) / 2 / 4
    assert 0.5 < divergence < 19
    np.testing.assert_allclose(loss.total / loss.weight, error + 0.5 * divergence + 3 * abs(divergence - 20), rtol=1e-4)


def test_the_divergence_grows_with_the_capacity(studied):
    folder, _, divergence = studied
    rows = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 30
    np.testing.assert_allclose(rows[-1]["divergence"], sum(rows[-1][f"divergence_{z}"] for z in range(3)), rtol=1e-4)
    assert np.mean([row["divergence"] for row in rows[-8:]]) > np.mean([row["divergence"] for row in rows[:8]]) + 1
    assert divergence.shape == (3,) and np.isfinite(divergence).all()


def test_seeds_train_together_as_they_do_alone():
    """One program for all: the same models as one by one, with a metric for each."""

    class Several:
        def __getitem__(self, step):
            return {"images": jnp.stack([SpriteBatches(4, seed=seed)[step]["images"] for seed in (3, 5)])}

    recipe = CapacityRecipe(steps=4, batch_size=4, latents=2, cooling=0.5, seed=5)
    network = functools.partial(DenseAutoEncoder, hidden=8)
    looks = []

    def look(model):
        looks.append(model.encoder[0].bias.shape[0])
        return {"size": jnp.ones(2)}

    both, history = train_autoencoder(
        Several(), recipe, network=network, seeds=(3, 5), evaluate=look, evaluate_every=2, progress=False
    )
    assert looks == [2, 2] and history[-1]["evaluation/size"] == [1, 1] and len(history[-1]["divergence_1"]) == 2
    alone, own = train_autoencoder(SpriteBatches(4, seed=5), recipe, network=network, progress=False)
    assert [row["step"] for row in own] == [1, 2, 3, 4] and own[-1]["images"] == 4
    np.testing.assert_allclose(history[-1]["loss"][1], own[-1]["loss"], rtol=1e-4)
    np.testing.assert_allclose(both.decoder[0].weight[1], alone.decoder[0].weight, atol=1e-5)
    assert np.abs(both.decoder[0].weight[0] - alone.decoder[0].weight).max() > 1e-3


def test_what_is_written(studied):
    folder, _, divergence = studied
    codes = np.load(folder / "run" / "codes.npz")
    assert codes["mean"].shape == (20, 3)
    np.testing.assert_allclose(codes["divergence"], divergence, rtol=1e-6)
    for name in ("traversals.png", "latents.png"):
        picture = matplotlib.image.imread(folder / "run" / name)
        assert picture[..., :3].std() > 0.05


def test_the_same_run_again_is_the_same(studied):
    folder, _, divergence = studied
    again = study_images(folder / "images", folder / "run", RECIPE, 16, progress=False)
    np.testing.assert_array_equal(again, divergence)


def test_a_folder_keeps_to_its_settings_and_images(studied, tmp_path):
    """Another recipe would be passed over in silence: the run there is finished already."""
    folder, images, _ = studied
    beta = dataclasses.replace(RECIPE, gamma=0.0, beta=8.0)
    with pytest.raises(ValueError, match=r"gamma 20\.0 instead of 0\.0, beta 0\.0 instead of 8\.0\); use"):
        study_images(folder / "images", folder / "run", beta, 16, progress=False)
    np.savez(tmp_path / "a.npz", images[..., 0])
    with pytest.raises(ValueError, match=r"other settings \(images\)"):
        study_images(tmp_path / "a.npz", folder / "run", RECIPE, 16, progress=False)
    for out in ("images", "images/run"):
        with pytest.raises(ValueError, match="taken for images"):
            study_images(folder / "images", folder / out, RECIPE, 16, progress=False)
    assert {path.name for path in (folder / "images").iterdir()} == {"0", "1"}


def test_the_picture_ranks_latents_by_all_images(studied, monkeypatch):
    """As `codes.npz` does, and not by those that are encoded first."""
    folder, _, divergence = studied
    drawn = []
    monkeypatch.setattr(study, "ENCODED_AT_ONCE", 5)
    picture = study.traversal_picture
    monkeypatch.setattr(study, "traversal_picture", lambda *given: drawn.append(picture(*given)) or drawn[0])
    study_images(folder / "images", folder / "run", RECIPE, 16, progress=False)
    order = np.argsort(-divergence)
    assert [axes.get_ylabel() for axes in drawn[0].axes] == [f"z{z}\n{divergence[z]:.2f}" for z in order]


def test_traversals_change_one_latent(getkey):
    model = eqx.filter_jit(AutoEncoder)((16, 16, 1), 3, key=getkey())
    images = SpriteBatches(2, size=16)[0]["images"]
    mean, divergence = encode(model, images)
    assert mean.shape == (2, 3) and (np.asarray(divergence) >= 0).all()
    here = traversals(model, images[0], mean[0, 1:2])  # its own value: nothing moves along latent 1
    wanted = 1 / (1 + np.exp(-np.asarray(model.decode(mean[0]).logits, np.float64)))
    np.testing.assert_allclose(here[1, 0], wanted, atol=1e-5)
    assert here.shape == (3, 1, 16, 16, 1) and np.abs(here[0] - here[1]).max() > 0


def test_reads_arrays(tmp_path):
    grey = np.arange(2 * 16 * 16, dtype=np.uint8).reshape(2, 16, 16)
    np.savez(tmp_path / "a.npz", grey)
    found = read_images(tmp_path / "a.npz", 16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 0], grey / 255, atol=1e-6)
    np.savez(tmp_path / "b.npz", imgs=grey > 100, latents=np.zeros(3))
    assert set(np.unique(read_images(tmp_path / "b.npz", 16))) == {0, 1}
    np.savez(tmp_path / "c.npz", images=np.full((1, 32, 32, 3), 0.25))
    found = read_images(tmp_path / "c.npz", 16)
    assert found.shape == (1, 16, 16, 3)
    np.testing.assert_allclose(found, 0.25, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4)), r"shape \[4, 4\]"),
        (np.zeros((2, 16, 16, 5)), r"shape \[2, 16, 16, 5\]"),
        (np.zeros((0, 16, 16)), "shape"),
        (np.full((2, 16, 16), np.nan), "image 0 has NaN"),
        (np.full((2, 16, 16), 300.0), "0 to 1"),
        (np.full((2, 16, 16), -1), "0 to"),
        (np.full((2, 16, 16), "a"), "not numbers"),
    ],
)
def test_arrays_that_are_no_images(array, message, tmp_path):
    np.savez(tmp_path / "bad.npz", array)
    with pytest.raises(ValueError, match=f"bad.npz.*{message}"):
        read_images(tmp_path / "bad.npz", 16)


def test_reads_files_of_any_depth(tmp_path):
    """A ramp is a ramp in 8 and 16 bits, with and without transparency; of colour is what has a file in colour."""
    ramp = np.repeat(np.linspace(0, 1, 32)[None], 32, axis=0)
    wanted = ramp.reshape(32, 16, 2).mean(axis=2)[:16]
    for i, (values, mode) in enumerate(((ramp * 255, "L"), (ramp * 65535, "I;16"), (ramp * 255, "LA"))):
        picture = Image.fromarray(values.round().astype(np.uint16 if mode == "I;16" else np.uint8))
        (picture if mode == "I;16" else picture.convert(mode)).save(tmp_path / f"{i}.png")
    found = read_images(tmp_path, 16)
    assert found.shape == (3, 16, 16, 1)
    np.testing.assert_allclose(found[..., 0], np.broadcast_to(wanted, (3, 16, 16)), atol=0.02)
    Image.new("RGB", (9, 5), (255, 0, 0)).save(tmp_path / "3.png")
    found = read_images(tmp_path, 16)
    assert found.shape == (4, 16, 16, 3)
    np.testing.assert_allclose(found[3], np.broadcast_to([1, 0, 0], (16, 16, 3)), atol=1e-6)
    for mode in ("I", "F"):
        Image.new(mode, (8, 8)).save(tmp_path / "4.tif")
        with pytest.raises(ValueError, match=r"4\.tif is not a readable image \(pixels of 32 bits"):
            read_images(tmp_path, 16)


def test_large_files_are_made_small_one_by_one(tmp_path, monkeypatch):
    """A folder of photographs does not fit into memory."""
    for i in range(4):
        Image.new("RGB", (100, 100)).save(tmp_path / f"{i}.png")
    sizes = []
    convert = Image.Image.convert
    monkeypatch.setattr(Image.Image, "resize", lambda one, size: sizes.append("small") or Image.new(one.mode, size))
    monkeypatch.setattr(Image.Image, "convert", lambda one, mode: sizes.append(one.size) or convert(one, mode))
    read_images(tmp_path, 16)
    assert sizes == [(100, 100), "small"] * 4 + [(16, 16)] * 4


def test_files_that_are_no_images(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither"):
        read_images(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no image files"):
        read_images(tmp_path / "empty")
    (tmp_path / "empty" / "a.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"a\.png is not a readable image"):
        read_images(tmp_path / "empty")
    for content in (b"", b"PK\x03\x04 broken", b"words"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.npz is neither a folder of images nor an \.npz"):
            read_images(tmp_path / "bad.npz")
    np.save(tmp_path / "a.npy", np.zeros((2, 16, 16)))
    with pytest.raises(ValueError, match=r"a\.npy is neither"):
        read_images(tmp_path / "a.npy")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15, 16, 16)})
    for name, content in (("words.txt", b"words"), ("images.npy", header.getvalue())):
        with zipfile.ZipFile(tmp_path / "bad.npz", "w") as file:
            file.writestr(name, content)
        with pytest.raises(ValueError, match=r"bad\.npz is not an \.npz file of images: (words|Unable|array)"):
            read_images(tmp_path / "bad.npz")
    np.savez(tmp_path / "bad.npz")
    with pytest.raises(ValueError, match="It holds none"):
        read_images(tmp_path / "bad.npz")
    np.savez(tmp_path / "two.npz", a=np.zeros((1, 16, 16)), b=np.zeros((1, 16, 16)))
    with pytest.raises(ValueError, match="which array has the images"):
        read_images(tmp_path / "two.npz")


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"growth": 0.0}, {"cooling": 1.5}, {"gamma": -1.0}, {"capacity": float("nan")}]
)
def test_bad_recipes(bad):
    with pytest.raises(ValueError):
        dataclasses.replace(RECIPE, **bad)
