import json
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from culet import core
from culet.core.checkpoint import claim_folder
from tests.core.test_fit import same


def state(scale=1.0):
    """Arrays of every kind that a state may hold, not all of them finite, and leaves that are none."""
    return {
        "f32": jnp.arange(24.0).reshape(8, 3) * scale,
        "bf16": jnp.array([1.5, jnp.nan, -jnp.inf, 1e-40], jnp.bfloat16),
        "nested": [jnp.array(7, jnp.int32), {"a.b": jnp.array([True, False])}, {"a": {"b": jnp.ones(2, jnp.uint8)}}],
        "empty": jnp.zeros((0, 3)),
        "key": jax.random.key(5),
        "keys": jax.random.split(jax.random.key(6), 3),
        "numpy": np.arange(3),
        "activation": jax.nn.gelu,
        "none": None,
    }


def arrays(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")]


def test_bit_equal(tmp_path):
    core.save_checkpoint(tmp_path, 3, state())
    newest = core.restore_checkpoint(tmp_path, state(scale=0.0))
    assert newest is not None
    step, restored = newest
    assert step == 3
    assert jax.tree.structure(restored) == jax.tree.structure(state())
    assert same(arrays(restored), arrays(state()))
    assert [leaf.dtype for leaf in arrays(restored)] == [leaf.dtype for leaf in arrays(state())]
    assert restored["activation"] is jax.nn.gelu
    assert isinstance(restored["numpy"], np.ndarray)
    assert jax.random.uniform(restored["key"]) == jax.random.uniform(jax.random.key(5))


def test_nothing_there(tmp_path):
    assert core.restore_checkpoint(tmp_path / "none", state()) is None
    assert core.checkpoint_steps(tmp_path / "none") == []


def test_keeps_the_newest(tmp_path):
    for step in (1, 2, 30, 4):  # the folder of step 30 was damaged, so the run went back to 2
        core.save_checkpoint(tmp_path, step, {"x": jnp.full(2, step)}, keep=2)
    assert core.checkpoint_steps(tmp_path) == [2, 4, 30]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000002", "00000004", "00000030"]


def remove(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [remove, truncate, flip])
@pytest.mark.parametrize("which", ["manifest.json", "state/manifest.ocdbt", "state/_METADATA", "data"])
def test_damage_is_named_and_the_older_one_used(tmp_path, pair, damage, which):
    shutil.copytree(pair, tmp_path, dirs_exist_ok=True)
    newest = tmp_path / "00000002"
    damage(next((newest / "state/ocdbt.process_0/d").iterdir()) if which == "data" else newest / which)
    if which == "manifest.json" and damage is flip:
        (newest / which).write_text("{}")  # one bit of it may be of no account
    with pytest.warns(UserWarning, match=r"Checkpoint .*00000002 is passed over"):
        restored = core.restore_checkpoint(tmp_path, {"x": jnp.zeros(500)})
    assert restored is not None
    assert restored[0] == 1
    assert restored[1]["x"][1] == 1


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    for step in (1, 2):
        core.save_checkpoint(folder, step, {"x": jnp.arange(500.0) * step})
    return folder


def test_all_damaged(pair, tmp_path):
    shutil.copytree(pair, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.iterdir():
        shutil.rmtree(path / "state")
    with pytest.warns(UserWarning, match="is missing") as caught:
        assert core.restore_checkpoint(tmp_path, {"x": jnp.zeros(500)}) is None
    assert len(caught) == 2


def test_a_damaged_one_is_replaced(pair, tmp_path):
    shutil.copytree(pair, tmp_path, dirs_exist_ok=True)
    truncate(tmp_path / "00000002/state/_METADATA")
    core.save_checkpoint(tmp_path, 2, {"x": jnp.full(500, 9.0)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restored = core.restore_checkpoint(tmp_path, {"x": jnp.zeros(500)})
    assert restored is not None
    assert restored[1]["x"][0] == 9


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({"x": jnp.zeros(400)}, r"its leaf 0 is 'x' float32\[500\] where the state has 'x' float32\[400\]"),
        ({"x": jnp.zeros(500, jnp.bfloat16)}, r"'x' float32\[500\] where the state has 'x' bfloat16\[500\]"),
        ({"a": jnp.zeros(500)}, r"its leaf 0 is 'x' float32\[500\] where the state has 'a' float32\[500\]"),
        ({"x": jnp.zeros(500), "y": jnp.zeros(1)}, r"its leaf 1 is nothing more where the state has 'y' float32\[1\]"),
        ({}, r"its leaf 0 is 'x' float32\[500\] where the state has nothing more"),
    ],
)
def test_another_state_is_refused(pair, like, message):
    with pytest.raises(core.CheckpointError, match=message):
        core.restore_checkpoint(pair, like)


def test_unfinished_folders_are_not_seen(pair, tmp_path):
    shutil.copytree(pair, tmp_path, dirs_exist_ok=True)
    for left in (".00000003.partial", ".00000009.partial", ".00000001.old"):
        (tmp_path / left / "state").mkdir(parents=True)
    assert core.checkpoint_steps(tmp_path) == [1, 2]
    core.save_checkpoint(tmp_path, 3, {"x": jnp.zeros(500)})
    assert not list(tmp_path.glob(".*"))
    assert json.loads((tmp_path / "00000003/manifest.json").read_text())["leaves"] == [["x", "float32", [500]]]


def test_restores_onto_another_mesh(tmp_path):
    wide, tall = core.make_mesh(fsdp=8), core.make_mesh(data=2, fsdp=2, tensor=2)
    x = jnp.arange(128.0).reshape(16, 8)
    saved = {"x": jax.device_put(x, NamedSharding(wide, PartitionSpec("fsdp"))), "key": jax.random.key(3)}
    core.save_checkpoint(tmp_path, 1, core.shard(saved, wide, [("x", PartitionSpec("fsdp"))]))
    target = NamedSharding(tall, PartitionSpec("tensor", "fsdp"))
    like = {"x": jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=target), "key": jax.random.key(0)}
    restored = core.restore_checkpoint(tmp_path, like)
    assert restored is not None
    assert restored[1]["x"].sharding.is_equivalent_to(target, 2)
    np.testing.assert_array_equal(restored[1]["x"], x)
    assert same(restored[1]["key"], jax.random.key(3))


def test_a_folder_keeps_the_settings_of_its_run(tmp_path):
    claim_folder(tmp_path, {"rate": 1.0, "data": "a1"})
    claim_folder(tmp_path, {"rate": 2.0, "data": "a1"})  # nothing was trained yet
    core.save_checkpoint(tmp_path / "checkpoints", 1, {"x": jnp.ones(1)})
    claim_folder(tmp_path, {"rate": 2.0, "data": "a1", "new": 0}, defaults={"new": 0})
    with pytest.raises(ValueError, match=r"other settings \(rate 2.0 instead of 3.0, data\); use another folder"):
        claim_folder(tmp_path, {"rate": 3.0, "data": "b2", "new": 0}, private=("data",))
