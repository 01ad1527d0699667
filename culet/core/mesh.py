"""Meshes of devices, and where each array lives on them.

A mesh has three axes: `data` (copies of the model), `fsdp` (copies that split the parameters among them) and `tensor`
(each layer cut across devices). Batches are cut over `data` and `fsdp`, parameters by rules on their paths.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

Rules = Sequence[tuple[str, PartitionSpec]]


def make_mesh(*, data: int = -1, fsdp: int = 1, tensor: int = 1) -> Mesh:
    """A mesh of `data * fsdp * tensor` devices; `data=-1` takes all the devices that the other two leave.

    Raises `ValueError` when there are too few devices, or when they cannot be divided evenly.
    """
    devices = jax.devices()
    if data == -1:
        data = len(devices) // (fsdp * tensor)
        if data * fsdp * tensor != len(devices):
            raise ValueError(f"{len(devices)} devices cannot be divided over fsdp={fsdp} x tensor={tensor}.")
    need = data * fsdp * tensor
    if need > len(devices):
        raise ValueError(f"A mesh of {data} x {fsdp} x {tensor} needs {need} devices; there are {len(devices)}.")
    return jax.make_mesh(
        (data, fsdp, tensor),
        ("data", "fsdp", "tensor"),
        axis_types=(AxisType.Auto,) * 3,
        devices=devices[:need],
    )


def shardings(tree: Any, mesh: Mesh, rules: Rules) -> Any:
    """The sharding of every array leaf by the first rule whose pattern occurs in its path; replicated if none does.

    `rules` are pairs such as `(r"embedding$", PartitionSpec("tensor", "fsdp"))`. The moments of an optimiser end in the
    path of their parameter, so they follow it. An axis that does not divide its dimension is left out there. Leaves
    that are not arrays get None. Raises `ValueError` for a rule that names an axis the mesh lacks.
    """
    for pattern, spec in rules:
        unknown = {axis for entry in spec for axis in _axes(entry)} - set(mesh.axis_names)
        if unknown:
            raise ValueError(f"Rule {pattern!r} names the axes {sorted(unknown)}; the mesh has {mesh.axis_names}.")

    def sharding(path: Any, leaf: Any) -> NamedSharding | None:
        if not hasattr(leaf, "shape"):
            return None
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        spec = next((spec for pattern, spec in rules if re.search(pattern, name)), PartitionSpec())
        fitted = [
            entry if size % math.prod(mesh.shape[axis] for axis in _axes(entry)) == 0 else None
            for entry, size in zip(spec, leaf.shape, strict=False)
        ]
        return NamedSharding(mesh, PartitionSpec(*fitted))

    return jax.tree_util.tree_map_with_path(sharding, tree)


def shard(tree: Any, mesh: Mesh, rules: Rules = ()) -> Any:
    """Moves the arrays of `tree` to where `shardings` says; every process must hold the same values."""
    return jax.tree.map(
        lambda sharding, leaf: leaf if sharding is None else _put(leaf, sharding),
        shardings(tree, mesh, rules),
        tree,
        is_leaf=lambda x: x is None,
    )


def _put(leaf: Any, sharding: NamedSharding) -> jax.Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_put(jax.random.key_data(leaf), sharding), impl=jax.random.key_impl(leaf))
    if sharding.is_fully_addressable or not getattr(leaf, "is_fully_addressable", True):
        return jax.device_put(leaf, sharding)
    host = np.asarray(leaf)  # onto the devices of several processes, of which each fills its own
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def place(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Cuts the leading axis of a batch over the axes `data` and `fsdp`.

    Every process passes the same whole batch, and keeps only what its own devices need: this is right for any mesh,
    also one whose `tensor` axis runs across processes. Raises `ValueError` when the batch does not divide evenly.
    """
    parts = mesh.shape["data"] * mesh.shape["fsdp"]
    placement = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
    placed = {}
    for name, array in batch.items():
        if array.shape[0] % parts:
            raise ValueError(f"A batch of {array.shape[0]} ({name!r}) cannot be cut into data x fsdp = {parts} parts.")
        placed[name] = jax.make_array_from_callback(array.shape, placement, lambda index, array=array: array[index])
    return placed


def distributed(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> bool:
    """Joins this process to the others of a run; call it before anything else touches jax.

    What is not passed is read from the environment: `CULET_COORDINATOR` (host:port of process 0), `CULET_PROCESSES`
    (how many) and `CULET_PROCESS` (which one this is). Without any of them it does nothing and returns False.
    Raises `ValueError` when only some are given.
    """
    given = {
        "CULET_COORDINATOR": coordinator,
        "CULET_PROCESSES": processes,
        "CULET_PROCESS": process,
    }
    settings = {name: os.environ.get(name) if value is None else value for name, value in given.items()}
    missing = [name for name, value in settings.items() if value is None]
    if len(missing) == len(settings):
        return False
    if missing:
        raise ValueError(f"A run over several processes also needs {', '.join(missing)}.")
    try:
        count, index = int(settings["CULET_PROCESSES"] or ""), int(settings["CULET_PROCESS"] or "")
    except ValueError:
        raise ValueError(f"CULET_PROCESSES and CULET_PROCESS must be whole numbers, not {settings}.") from None
    jax.distributed.initialize(str(settings["CULET_COORDINATOR"]), count, index)
    return True


def _axes(entry: Any) -> tuple[str, ...]:
    """The mesh axes in one entry of a PartitionSpec: None, a name or several names."""
    if entry is None:
        return ()
    return (entry,) if isinstance(entry, str) else tuple(entry)
