"""Results that are kept: `results/SLUG/` with `result.json`, `control.json`, pictures and files."""

import json
import shutil
from pathlib import Path
from typing import Any

from culet.core.files import atomic_folder
from culet.experiments.provenance import PACKAGE, checkout

KEPT_SCALE = "laptop"  # what was run at smoke scale says nothing about a paper
_RENAMED = {"arms": "variants", "different": "deviations"}  # of results in the form of commits before 482f227


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

    Files with the keys of older versions (arms, what, different) are read too. Raises `ValueError`, naming the file,
    for one that cannot be read.
    """
    file = None if results is None else results / slug / f"{name}.json"
    if file is None or not file.exists():
        return None
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ValueError(f"{file}: not valid JSON ({problem}); run `culet reproduce {slug} --keep`") from None
    result = _with_new_keys(result) if isinstance(result, dict) else {}
    if (
        result.get("slug") != slug
        or not result.keys() >= {"verdict", "claims", "variants"}
        or not isinstance(result["variants"], dict)
    ):
        raise ValueError(f"{file}: not a result of {slug}; run `culet reproduce {slug} --keep`")
    return result


def _with_new_keys(result: dict[str, Any]) -> dict[str, Any]:
    result = {_RENAMED.get(key, key): value for key, value in result.items()}
    if isinstance(result.get("variants"), dict):
        result["variants"] = {
            name: {"description" if key == "what" else key: value for key, value in variant.items()}
            for name, variant in result["variants"].items()
        }
    return result


def keep_result(made: Path, results: Path, slug: str) -> Path:
    """Puts what a run and its control left in the folder `made` into `results/SLUG`, in one piece, and returns it."""
    with atomic_folder(results / slug) as folder:
        for file in ("result.json", "control.json", "figure.png", "control.png"):
            shutil.copy(made / file, folder / file)
        if (made / "files").exists():
            shutil.copytree(made / "files", folder / "files")
    return results / slug


def number(value: float | int) -> str:
    """A figure for people: three significant digits, or a whole number from 1,000."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(numbers: dict[str, Any]) -> str:
    """A mean with its interval, unless all seeds agree."""
    if numbers["interval"] is None:
        return f"{number(numbers['mean'])} (one seed)"
    low, high = numbers["interval"]
    if low == high:
        return number(numbers["mean"])
    return f"{number(numbers['mean'])} [{number(low)}, {number(high)}]"
