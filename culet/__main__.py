"""`python -m culet` is the command `culet`."""

from culet.cli.app import main

main()
