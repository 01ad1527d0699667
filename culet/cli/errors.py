"""The errors that the command line shows as one line, and its exit statuses."""

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130
EXPECTED = (ValueError, OSError, RuntimeError, ArithmeticError)  # what culet raises for bad input and failed runs
