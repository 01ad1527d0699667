"""Results that are kept: `results/SLUG/` with `result.json`, `control.json`, pictures and files."""

import json
import shutil
from pathlib import Path
from typing import Any

from culet.core.files import atomic_folder
from culet.experiments.provenance import PACKAGE, checkout

KEPT_SCALE = "laptop"  # what was run at smoke scale says nothing about a paper


def results_folder(given: Path | None) -> Path:
    """The folder of kept results: the given one, else that of the source checkout, else the one that was installed.

    The installed one has the numbers, without pictures and sounds. Raises `FileNotFoundError` for a given folder that
    is not there.
    """
    if given is not None and not given.is_dir():
        raise FileNotFoundError(f"{given}: no such folder of results")
    root = checkout()
    return given or (PACKAGE / "papers" / "results" if root is None else root / "results")


def read_result(results: Path | None, slug: str, name: str = "result") -> dict[str, Any] | None:
    """The kept result of a system, or with `name="control"` its control; None if there is none.

    Raises `ValueError`, naming the file, for one that cannot be read.
    """
    file = None if results is None else results / slug / f"{name}.json"
    if file is None or not file.exists():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ValueError(f"{file}: not valid JSON ({problem}); run `culet reproduce {slug} --keep`") from None
    if (
        not isinstance(found, dict)
        or found.get("slug") != slug
        or not found.keys() >= {"verdict", "claims", "variants"}
    ):
        raise ValueError(f"{file}: not a result of {slug}; run `culet reproduce {slug} --keep`")
    return found


def keep(made: Path, results: Path, slug: str) -> Path:
    """Puts what a run and its control left in the folder `made` into `results/SLUG`, in one piece, and returns it."""
    with atomic_folder(results / slug) as folder:
        for file in ("result.json", "control.json", "figure.png", "control.png"):
            shutil.copy(made / file, folder / file)
        if (made / "files").exists():
            shutil.copytree(made / "files", folder / "files")
    return results / slug


def number(value: float | int) -> str:
    """A figure for people: three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(found: dict[str, Any]) -> str:
    """A mean with its interval, unless all seeds agree."""
    if found["interval"] is None:
        return f"{number(found['mean'])} (one seed)"
    low, high = found["interval"]
    if low == high:
        return number(found["mean"])
    return f"{number(found['mean'])} [{number(low)}, {number(high)}]"
