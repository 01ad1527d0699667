"""One file or folder per system: an experiment that puts its paper's claims to the test; `systems.py` lists all."""

from culet.papers.systems import SYSTEMS, System, built, find_experiment, overview

__all__ = ["SYSTEMS", "System", "built", "find_experiment", "overview"]
