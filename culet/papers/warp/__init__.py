"""The experiment on WARP."""

from culet.papers.warp.experiment import experiment

__all__ = ["experiment"]
