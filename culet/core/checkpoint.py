"""Checkpoints of a training state: whole or absent, verified when read, restored bit for bit on any mesh.

A checkpoint is the folder `<step, eight digits>/` with the arrays as Orbax writes them in `state/`, and a
`manifest.json` with the name, shape and dtype of every leaf and the checksum of every file. The folder gets its name
by a rename once all of it is on the disk, so a run killed at any moment leaves only whole checkpoints.
"""

import json
import shutil
import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from culet.core.files import atomic_write, begin_folder, commit_folder
from culet.core.tree import named_leaves


class CheckpointError(ValueError):
    """A checkpoint that is whole but does not fit the state it should be restored to."""


def save_checkpoint(folder: str | Path, step: int, state: Any, *, keep: int = 3) -> Path:
    """Saves the array leaves of `state` as the checkpoint of `step`, then deletes the older ones but for `keep` in all.

    In a run over several processes all of them must call it, with a folder that they share.
    """
    import orbax.checkpoint as ocp

    path = Path(folder).absolute() / f"{step:08d}"
    primary = jax.process_index() == 0
    if primary:
        _sweep(path.parent)
    partial = begin_folder(path) if primary else path.with_name(f".{path.name}.partial")
    _barrier(f"checkpoint {step} begins")
    leaves = _arrays(state)
    stored = {str(i): _plain(leaf) for i, (_, leaf) in enumerate(leaves) if leaf.size}  # Orbax refuses empty arrays
    if stored:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            checkpointer.save(partial / "state", args=ocp.args.PyTreeSave(stored))
    if primary:
        files = {str(file.relative_to(partial)): _checksum(file) for file in _files(partial)}
        manifest = {"step": step, "leaves": [_describe(name, leaf) for name, leaf in leaves], "files": files}
        atomic_write(partial / "manifest.json", json.dumps(manifest, indent=1))
        commit_folder(path)
        for old in [other for other in checkpoint_steps(folder) if other <= step][:-keep]:
            shutil.rmtree(path.with_name(f"{old:08d}"))
    _barrier(f"checkpoint {step} ends")
    return path


def checkpoint_steps(folder: str | Path) -> list[int]:
    """The steps of the checkpoints in `folder`, oldest first, not yet verified; empty when there is no folder."""
    folder = Path(folder)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal() and len(name) >= 8)


def restore_checkpoint(folder: str | Path, like: Any) -> tuple[int, Any] | None:
    """The newest whole checkpoint in `folder` as `(step, state)`, or None when there is none.

    `like` gives the structure, the leaves that are not arrays, and each array's shape, dtype and sharding (its values
    are not used, and `jax.ShapeDtypeStruct` will do): a state saved from one mesh comes back on another. Folders that
    are incomplete or damaged are passed over with a warning that names them. Raises `CheckpointError` when the
    checkpoint holds other leaves than `like`.
    """
    for step in reversed(checkpoint_steps(folder)):
        path = Path(folder).absolute() / f"{step:08d}"
        manifest, fault = _verify(path)
        if fault:
            warnings.warn(f"Checkpoint {path} is passed over: {fault}.", stacklevel=2)
            continue
        leaves = _arrays(like)
        _compare(path, manifest["leaves"], [_describe(name, leaf) for name, leaf in leaves])
        return step, _load(path, like, [leaf for _, leaf in leaves])
    return None


def claim_folder(
    folder: str | Path,
    settings: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
    private: Sequence[str] = (),
) -> None:
    """Writes the settings of a run to `folder/settings.json`; a run begun with other ones is refused.

    Settings are values of JSON. Those that an older file lacks had the `defaults`. The error gives both values of a
    setting, except of `private` ones, such as digests of data.

    Raises:
        ValueError: the folder has checkpoints of a run with other settings; it says which.
    """
    folder = Path(folder)
    file = folder / "settings.json"
    if file.exists() and checkpoint_steps(folder / "checkpoints"):
        kept = {**(defaults or {}), **json.loads(file.read_text(encoding="utf-8"))}
        other = [
            name if name in private else f"{name} {kept.get(name)} instead of {value}"
            for name, value in settings.items()
            if kept.get(name) != value
        ]
        if other:
            raise ValueError(f"{folder} has a run with other settings ({', '.join(other)}); use another folder")
    atomic_write(file, json.dumps(settings, indent=1) + "\n")


def _sweep(folder: Path) -> None:
    """Removes what killed runs left half-written."""
    for pattern in (".[0-9]*.partial", ".[0-9]*.old"):
        for stale in folder.glob(pattern):
            shutil.rmtree(stale)


def _load(path: Path, like: Any, leaves: list[Any]) -> Any:
    import orbax.checkpoint as ocp

    plain = {str(i): jax.eval_shape(_plain, leaf) for i, leaf in enumerate(leaves) if leaf.size}
    arguments = {}
    for name, shape in plain.items():
        leaf = leaves[int(name)]
        if isinstance(leaf, np.ndarray):
            arguments[name] = ocp.RestoreArgs(restore_type=np.ndarray)
        else:
            sharding = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
            arguments[name] = ocp.ArrayRestoreArgs(sharding=sharding, global_shape=shape.shape, dtype=shape.dtype)
    stored = {}
    if plain:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            stored = checkpointer.restore(
                path / "state", args=ocp.args.PyTreeRestore(item=plain, restore_args=arguments)
            )
    restored = iter([_dress(stored.get(str(i)), leaf) for i, leaf in enumerate(leaves)])
    return jax.tree.map(lambda leaf: next(restored) if _is_array(leaf) else leaf, like)


def _dress(stored: Any, like: Any) -> Any:
    """A stored array with the type of `like`: random keys are stored as their numbers, empty arrays not at all."""
    if stored is None:
        return jnp.zeros(like.shape, like.dtype)
    if jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(stored, impl=jax.random.key_impl(like))
    return stored


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct)


def _arrays(tree: Any) -> list[tuple[str, Any]]:
    return [(name, leaf) for name, leaf in named_leaves(tree) if _is_array(leaf)]


def _describe(name: str, leaf: Any) -> list[Any]:
    return [name, str(leaf.dtype), list(leaf.shape)]


def _compare(path: Path, saved: list[Any], wanted: list[Any]) -> None:
    """Raises on the first leaf in which a checkpoint and the state differ."""
    if saved == wanted:
        return
    i = next((i for i, (a, b) in enumerate(zip(saved, wanted, strict=False)) if a != b), min(len(saved), len(wanted)))
    here, there = (f"'{x[i][0]}' {x[i][1]}{x[i][2]}" if i < len(x) else "nothing more" for x in (saved, wanted))
    raise CheckpointError(
        f"Checkpoint {path} does not fit this state: its leaf {i} is {here} where the state has {there}. "
        "Restore it with the configuration that it was trained with, or train in another folder."
    )


def _verify(path: Path) -> tuple[dict[str, Any], str | None]:
    """The manifest, and what is wrong with the folder if anything is."""
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        expected = dict(manifest["files"])
        manifest["leaves"] = list(manifest["leaves"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        return {}, f"manifest.json cannot be read ({type(error).__name__}: {error})"
    for name, checksum in expected.items():
        file = path / name
        if not file.is_file():
            return {}, f"{name} is missing"
        if _checksum(file) != checksum:
            return {}, f"{name} is damaged"
    return manifest, None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _checksum(file: Path) -> str:
    total = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            total = zlib.crc32(block, total)
    return f"{file.stat().st_size}-{total:08x}"


def _barrier(name: str) -> None:
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)
