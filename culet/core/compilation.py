"""For programs that compile more than they compute."""

import os
from importlib.metadata import version

# With an option that it does not know XLA aborts the process, so these are the versions that were tried.
_KNOWN_TO = ("0.10.",)
_QUICKER = {
    "--xla_cpu_use_fusion_emitters": "false",  # the older code generator
    "--xla_backend_optimization_level": "1",  # of the machine code; 0 would compute several times longer
}


def prefer_quick_compilation() -> None:
    """Lets XLA compile for CPUs with its older code generator and few optimisations: half the time for small functions.

    For large ones it takes longer (LOG.md). It applies to the whole process, if nothing has been compiled before. What
    `XLA_FLAGS` says already stays.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if version("jaxlib").startswith(_KNOWN_TO):
        added = [f"{flag}={value}" for flag, value in _QUICKER.items() if flag not in flags]
        os.environ["XLA_FLAGS"] = " ".join([flags, *added]).strip()
