"""The experiment on BOND."""

from culet.papers.bond.experiment import experiment

__all__ = ["experiment"]
