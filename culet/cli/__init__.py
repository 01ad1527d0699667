"""The `culet` command. Each subcommand loads what it needs when it runs, so that `culet --help` is quick."""

from culet.cli.app import main

__all__ = ["main"]
