"""Writing a model folder so that it is never seen half-written, and safetensors files tensor by tensor."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Array

from culet.lm.formats.tensors import DTYPES, INDEX, SINGLE

CONFIG = "config.json"
MAX_SHARD_BYTES = 5 * 10**9
_PARTIAL = ".partial"
_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A fresh folder in which to write a model's files; they move into `folder` together when the block succeeds.

    Until the last byte is on disk the old content of `folder` stays as it was. Then its `config.json` goes first and
    the new one comes last, so that a folder in between has none and no reader takes it for a model. Weights of an
    earlier save that the new one does not replace are removed; other files are left alone. If the block raises,
    nothing changes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stage = folder / _PARTIAL
    shutil.rmtree(stage, ignore_errors=True)  # what a killed save left behind
    stage.mkdir()
    try:
        yield stage
        names = sorted((path.name for path in stage.iterdir()), key=lambda name: (name == CONFIG, name))
        for name in names:
            _sync(stage / name)
        (folder / CONFIG).unlink(missing_ok=True)
        for path in folder.iterdir():
            if _WEIGHTS.fullmatch(path.name):
                path.unlink()
        _sync(folder)
        for name in names:
            if name == CONFIG:
                _sync(folder)
            (stage / name).replace(folder / name)
        _sync(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Writes one object as indented JSON."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tensors(
    folder: Path,
    tensors: Mapping[str, np.ndarray | Array],
    *,
    dtype: np.dtype | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    advance: Callable[[int], object] = lambda nbytes: None,
) -> None:
    """Writes `tensors` into `folder` as one `model.safetensors`, or as shards and an index, as transformers names them.

    Tensors are brought to host memory and cast to `dtype` (None keeps each one's own) one at a time. A shard holds at
    most `max_shard_bytes` of data, or one larger tensor. `advance` is told the bytes of each tensor once written.
    Raises `ValueError` for a dtype that safetensors does not have.
    """
    dtypes = {name: np.dtype(dtype or tensor.dtype) for name, tensor in tensors.items()}
    for name, kind in dtypes.items():
        if kind not in _NAMES:
            raise ValueError(
                f"tensor {name!r}: safetensors has no dtype {kind}; use one of {', '.join(map(str, _NAMES))}"
            )
    sizes = {name: tensor.size * dtypes[name].itemsize for name, tensor in tensors.items()}
    shards = _split(sizes, max_shard_bytes)
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        file_name = SINGLE if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        with (folder / file_name).open("wb") as file:
            _write_header(file, {name: (dtypes[name], tensors[name].shape, sizes[name]) for name in names})
            for name in names:
                weight_map[name] = file_name
                host = np.ascontiguousarray(np.asarray(tensors[name]).astype(dtypes[name], copy=False))
                host.reshape(-1).view(np.uint8).tofile(file)
                advance(sizes[name])
    if len(shards) > 1:
        write_json(folder / INDEX, {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map})


def _split(sizes: Mapping[str, int], most: int) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    room = most
    for name, size in sizes.items():
        if size > room and shards[-1]:
            shards.append([])
            room = most
        shards[-1].append(name)
        room -= size
    return shards


def _write_header(file: BinaryIO, tensors: Mapping[str, tuple[np.dtype, tuple[int, ...], int]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # transformers refuses files without this mark
    end = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)  # the data start at a multiple of 8 bytes
    file.write(len(raw).to_bytes(8, "little") + raw)
