"""One file per system: an experiment that puts its paper's claim to the test.

`experiment` is found in the file of a slug, with underscores for hyphens, which is imported when asked for.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from culet.papers.systems import SYSTEMS, System

if TYPE_CHECKING:
    from culet.core.experiment import Experiment

__all__ = ["SYSTEMS", "System", "built", "find_experiment"]


def built() -> list[str]:
    """The slugs that have an experiment, in the order of `SYSTEMS`."""
    return [slug for slug in SYSTEMS if (Path(__file__).parent / f"{_module(slug)}.py").exists()]


def find_experiment(slug: str) -> "Experiment":
    """The experiment of a system. Raises ValueError, listing what is built, for a slug that is unknown or planned."""
    there = built()
    if slug not in there:
        why = "is planned, but not built yet" if slug in SYSTEMS else "is no system of this library"
        raise ValueError(f"{slug!r} {why}; built are: {', '.join(there)}. `culet systems` lists all")
    return importlib.import_module(f"culet.papers.{_module(slug)}").experiment


def _module(slug: str) -> str:
    return slug.replace("-", "_")
