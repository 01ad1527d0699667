"""The experiment on MusicRL."""

from culet.papers.musicrl.experiment import experiment

__all__ = ["experiment"]
