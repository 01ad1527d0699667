"""`python -m culet.cli` is the `culet` command."""

from culet.cli.app import main

main()
