"""Safetensors files, read and written one tensor at a time. What a header says is checked before it is believed.

A file is 8 bytes of header length (little-endian), a JSON header `{name: {dtype, shape, data_offsets}}`, and the data.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import ml_dtypes
import numpy as np
from jaxtyping import Array

from culet.lm.formats.json_file import MOST_BYTES, TensorError, brief, parse_object, read_object, write_json

DTYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(bool),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_SHARD_BYTES = 5 * 10**9
_DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_MOST_AXES = 16
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,250}\.safetensors")


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies: its file, dtype, shape, and first byte counted from the start of the file."""

    file: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    start: int

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor's data."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(path: Path) -> dict[str, Entry]:
    """The tensors of one safetensors file, without reading their data.

    Raises `TensorError` unless the header is sound: known dtypes, shapes that match their bytes, and data that fill the
    rest of the file without gap or overlap.
    """
    if not path.is_file():
        raise TensorError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            most = min(MOST_BYTES, size - 8)
            raw = file.read(length) if length <= most else b""
    except OSError as problem:
        raise TensorError(f"{path}: cannot be read ({problem.strerror})") from None
    if size < 8:
        raise TensorError(f"{path}: {size} bytes are too few for a safetensors file; was the download cut short?")
    if length > most:
        raise TensorError(
            f"{path}: the header claims {length} bytes where at most {most} are possible; "
            "truncated, or not a safetensors file"
        )
    header = parse_object(raw, f"{path}: header", TensorError)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise TensorError(f"{path}: header: __metadata__ must map text to text")
    entries = {name: _entry(path, name, fields, 8 + length) for name, fields in header.items()}
    _check_layout(path, entries, 8 + length, size)
    return entries


def _entry(path: Path, name: str, fields: Any, data_start: int) -> Entry:
    def fail(problem: str) -> NoReturn:
        raise TensorError(f"{path}: tensor {brief(name)}: {problem}")

    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        fail("must have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        fail(f"dtype {brief(dtype)} is unknown; known: {', '.join(DTYPES)}")
    if not isinstance(shape, list) or len(shape) > _MOST_AXES or not all(_is_count(n) for n in shape):
        fail(f"shape must be at most {_MOST_AXES} whole numbers from 0 to 2^48")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_count(n) for n in offsets):
        fail("data_offsets must be two whole numbers from 0 to 2^48")
    entry = Entry(path, DTYPES[dtype], tuple(shape), data_start + offsets[0])
    if offsets[1] - offsets[0] != entry.nbytes:
        fail(f"{dtype} of shape {shape} takes {brief(entry.nbytes)} bytes, data_offsets give {offsets[1] - offsets[0]}")
    return entry


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= 2**48


def _check_layout(path: Path, entries: dict[str, Entry], start: int, size: int) -> None:
    """Raises unless the tensors tile the bytes `[start, size)` of the file."""
    end = start
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].nbytes)):
        if entry.start != end:
            problem = "overlaps the one before it" if entry.start < end else "leaves a gap before it"
            raise TensorError(f"{path}: tensor {brief(name)}: {problem} (starts at byte {entry.start}, expected {end})")
        end += entry.nbytes
        if end > size:
            raise TensorError(
                f"{path}: tensor {brief(name)}: ends at byte {end} of a file of {size}; truncated: fetch it again"
            )
    if end != size:
        raise TensorError(f"{path}: {size - end} bytes follow the last tensor; not a safetensors file as it should be")


class TensorFolder:
    """The tensors of a model folder: one `model.safetensors`, or an index and its shards.

    Opening reads headers only. `entries` maps each tensor name to its `Entry`; `read` gets one tensor's data.
    Raises `TensorError`, naming file and tensor, if a shard is missing, truncated or not what the index promises.
    """

    folder: Path
    entries: dict[str, Entry]

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if (self.folder / SINGLE).is_file():
            self.entries = read_header(self.folder / SINGLE)
        elif (self.folder / INDEX).is_file():
            self.entries = _read_sharded(self.folder)
        else:
            raise TensorError(
                f"{self.folder}: holds neither {SINGLE} nor {INDEX}; other weight formats (.bin, .pth, .gguf) are not "
                "read: convert them to safetensors first"
            )

    def read(self, name: str, rows: slice | None = None) -> np.ndarray:
        """The tensor `name`, or the given rows (a slice of its first axis, step 1), as a new array in host memory."""
        entry = self.entries[name]
        shape, start = entry.shape, entry.start
        if rows is not None:
            first, last, _ = rows.indices(shape[0])
            start += first * math.prod(shape[1:]) * entry.dtype.itemsize
            shape = (max(last - first, 0), *shape[1:])
        nbytes = math.prod(shape) * entry.dtype.itemsize
        try:
            # Read rather than mapped: mapped pages would count as memory of this process until the file is closed.
            raw = np.fromfile(entry.file, np.uint8, nbytes, offset=start)
        except OSError as problem:
            raise TensorError(f"{entry.file}: tensor {brief(name)}: cannot be read ({problem.strerror})") from None
        if raw.size != nbytes:
            raise TensorError(f"{entry.file}: tensor {brief(name)}: the file became shorter while it was read")
        return raw.view(entry.dtype).reshape(shape)


def _read_sharded(folder: Path) -> dict[str, Entry]:
    index = folder / INDEX
    weight_map = read_object(index, TensorError).get("weight_map")
    if not isinstance(weight_map, dict):
        raise TensorError(f"{index}: weight_map must map tensor names to files")
    for name, file in weight_map.items():
        if not isinstance(file, str) or not _SHARD_NAME.fullmatch(file):
            raise TensorError(
                f"{index}: tensor {brief(name)}: {brief(file)} is not the plain name of a .safetensors file here"
            )
    files = sorted(set(weight_map.values()))
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise TensorError(f"{folder}: {_list(missing)} missing though {INDEX} names it; fetch or save it again")
    shards = {file: read_header(folder / file) for file in files}
    for name, file in weight_map.items():
        if name not in shards[file]:
            raise TensorError(f"{folder / file}: tensor {brief(name)} is missing though {INDEX} puts it there")
    for file, entries in shards.items():
        for name in entries:
            if weight_map.get(name) != file:
                raise TensorError(f"{folder / file}: tensor {brief(name)} stands here, but {INDEX} does not say so")
    return {name: shards[file][name] for name, file in weight_map.items()}


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


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
    most `max_shard_bytes` of data, or one larger tensor. `advance` is called with the bytes of each tensor
    once it is written.
    Raises `ValueError` for a dtype that safetensors does not have.
    """
    dtypes = {name: np.dtype(dtype or tensor.dtype) for name, tensor in tensors.items()}
    for name, kind in dtypes.items():
        if kind not in _DTYPE_NAMES:
            raise ValueError(
                f"tensor {name!r}: safetensors has no dtype {kind}; use one of {', '.join(map(str, _DTYPE_NAMES))}"
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
    left = most
    for name, size in sizes.items():
        if size > left and shards[-1]:
            shards.append([])
            left = most
        shards[-1].append(name)
        left -= size
    return shards


def _write_header(file: BinaryIO, tensors: Mapping[str, tuple[np.dtype, tuple[int, ...], int]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # transformers refuses files without this mark
    end = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": _DTYPE_NAMES[dtype], "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)  # the data start at a multiple of 8 bytes
    file.write(len(raw).to_bytes(8, "little") + raw)
