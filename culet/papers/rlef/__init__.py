"""The experiment on RLEF."""

from culet.papers.rlef.experiment import experiment

__all__ = ["experiment"]
