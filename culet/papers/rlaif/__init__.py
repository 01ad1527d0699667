"""The experiment on RLAIF."""

from culet.papers.rlaif.experiment import experiment

__all__ = ["experiment"]
