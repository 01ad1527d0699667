"""The experiment on Gemma 2."""

from culet.papers.gemma_2.experiment import experiment

__all__ = ["experiment"]
