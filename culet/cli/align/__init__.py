"""`culet align`: a plan from a file or flags, its methods and rewards by name, the run, and its report."""

from culet.cli.align.command import register

__all__ = ["register"]
