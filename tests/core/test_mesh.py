import os
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from culet import core
from tests.core.test_fit import log
from tests.core.toy import OPTIMIZER, PLAIN_STEP, RULES, SCHEDULE, loss, setup

MESHES = [
    {"data": 8},
    {"data": 1, "fsdp": 8},
    {"data": 1, "tensor": 8},
    {"data": 2, "fsdp": 2, "tensor": 2},
]


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    step, state, batches = setup()
    return core.fit(step, state, batches, steps=3, folder=folder, log_every=1, progress=False)[0], log(folder)


def compare(rows, state, one_device):
    for got, wanted in zip(rows, one_device[1], strict=True):
        for name, value in wanted.items():
            np.testing.assert_allclose(got[name], value, rtol=1e-5, err_msg=name)
    for a, b in zip(jax.tree.leaves(state.model), jax.tree.leaves(one_device[0].model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", MESHES, ids=str)
def test_eight_devices_equal_one(axes, one_device, tmp_path):
    mesh = core.make_mesh(**axes)
    _, state, batches = setup()
    state = core.shard(state, mesh, RULES)
    before = jax.tree.map(lambda x: x.sharding, state)
    state, _ = core.fit(PLAIN_STEP, state, batches, steps=3, folder=tmp_path, log_every=1, mesh=mesh, progress=False)
    compare(log(tmp_path), state, one_device)
    for leaf, place in zip(jax.tree.leaves(state), jax.tree.leaves(before), strict=True):
        assert leaf.sharding.is_equivalent_to(place, leaf.ndim)


def test_micro_batches_on_a_mesh(one_device):
    mesh = core.make_mesh(data=2, fsdp=2)
    _, state, batches = setup()
    step = core.training_step(loss, OPTIMIZER, clip=1.0, schedule=SCHEDULE, micro_batches=2)
    _, metrics = jax.jit(step)(core.shard(state, mesh, RULES), core.place(batches[0], mesh))
    np.testing.assert_allclose(metrics["loss"], one_device[1][0]["loss"], rtol=1e-5)


def test_rules_first_match_wins_and_fits():
    mesh = core.make_mesh(data=2, fsdp=2, tensor=2)
    tree = {
        "layers": [{"weight": jnp.zeros((4, 6)), "odd": jnp.zeros((3, 4)), "bias": jnp.zeros(4)}],
        "other": jnp.zeros((4, 4)),
        "function": jax.nn.gelu,
        "key": jax.random.key(0),
    }
    rules = [
        (r"layers\.\d+\.(weight|odd)$", PartitionSpec("tensor", "fsdp")),
        (r"layers", PartitionSpec(("fsdp", "tensor"), "data")),
        (r"weight", PartitionSpec()),
    ]
    placement = core.shardings(tree, mesh, rules)
    assert placement["layers"][0]["weight"].spec == PartitionSpec("tensor", "fsdp")
    assert placement["layers"][0]["odd"].spec == PartitionSpec(None, "fsdp")  # 2 does not divide 3
    assert placement["layers"][0]["bias"].spec == PartitionSpec(("fsdp", "tensor"))
    assert placement["other"].spec == placement["key"].spec == PartitionSpec()
    assert placement["function"] is None
    placed = core.shard(tree, mesh, rules)
    assert placed["function"] is jax.nn.gelu
    assert placed["layers"][0]["weight"].addressable_shards[0].data.shape == (2, 3)
    with pytest.raises(ValueError, match=r"names the axes \['model'\]"):
        core.shardings(tree, mesh, [("x", PartitionSpec("model"))])


def test_moments_follow_their_parameter():
    mesh = core.make_mesh(fsdp=8)
    _, state, _ = setup()
    placement = core.shardings(state, mesh, [(r"down$", PartitionSpec("fsdp"))])
    cut = [name for name, place in core.named_leaves(placement) if place.spec == PartitionSpec("fsdp")]
    assert len(cut) == 3
    assert all(name.endswith("down") for name in cut)


def test_bad_meshes():
    with pytest.raises(ValueError, match="needs 16 devices; there are 8"):
        core.make_mesh(data=2, fsdp=8)
    with pytest.raises(ValueError, match="8 devices cannot be divided over fsdp=3"):
        core.make_mesh(fsdp=3)
    with pytest.raises(ValueError, match=r"batch of 6 .* 4 parts"):
        core.place({"x": np.zeros((6, 2))}, core.make_mesh(data=4))


def test_distributed_needs_all_or_nothing(monkeypatch):
    for name in ("CULET_COORDINATOR", "CULET_PROCESSES", "CULET_PROCESS"):
        monkeypatch.delenv(name, raising=False)
    assert core.distributed() is False
    with pytest.raises(ValueError, match="also needs CULET_COORDINATOR, CULET_PROCESS"):
        core.distributed(processes=2)
    monkeypatch.setenv("CULET_PROCESSES", "two")
    with pytest.raises(ValueError, match="must be whole numbers"):
        core.distributed("localhost:1", process=0)


def test_two_processes_equal_one(one_device, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"CULET_COORDINATOR": f"127.0.0.1:{port}", "CULET_PROCESSES": "2", "XLA_FLAGS": ""}
    programs = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.core.toy", str(tmp_path), "3"],
            env=os.environ | common | {"CULET_PROCESS": str(i)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(2)
    ]
    try:
        outputs = [program.communicate(timeout=120)[0] for program in programs]
    finally:
        for program in programs:
            program.kill()
    assert [program.returncode for program in programs] == [0, 0], "\n".join(outputs)
    _, state, _ = setup()
    restored = core.restore_checkpoint(tmp_path / "checkpoints", state)  # saved by two, read by one
    assert restored is not None
    assert restored[0] == 3
    compare(log(tmp_path), restored[1], one_device)
