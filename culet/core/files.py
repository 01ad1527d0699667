"""Files and folders that are either there and whole, or not there at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def atomic_write(path: str | Path, data: bytes | str) -> None:
    """Writes `data` (text as UTF-8) to `path`, making its folder if needed; a reader sees the old file or the new one.

    Raises `OSError` when the disk refuses; the old file is then untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    fsync(path.parent)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Gives an empty folder to fill, which takes the name `path` when the block ends well and goes when it does not.

    A folder that stood at `path` is replaced.
    """
    partial = begin_folder(path)
    try:
        yield partial
        commit_folder(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def begin_folder(path: str | Path) -> Path:
    """Makes the empty folder beside `path` that `commit_folder` will rename, clearing what a killed run left there."""
    partial = _partial(path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def commit_folder(path: str | Path) -> None:
    """Renames the folder made by `begin_folder` to `path` once all it holds is on the disk."""
    path, partial = Path(path), _partial(path)
    for inside in partial.rglob("*"):
        fsync(inside)
    fsync(partial)
    if path.exists():  # a folder cannot be renamed onto a full one
        old = path.with_name(f".{path.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
        partial.rename(path)
        shutil.rmtree(old)
    else:
        partial.rename(path)
    fsync(path.parent)


def fsync(path: str | Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _partial(path: str | Path) -> Path:
    path = Path(path)
    return path.with_name(f".{path.name}.partial")
