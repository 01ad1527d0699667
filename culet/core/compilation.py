"""For programs that compile more than they compute."""

import os
from importlib.metadata import version

# With an option that it does not know XLA aborts the process, so these are the versions that were tried.
_KNOWN_TO = ("0.10.",)
_OLDER_GENERATOR = "--xla_cpu_use_fusion_emitters=false"


def prefer_quick_compilation() -> None:
    """Lets XLA compile for CPUs with its older code generator, which for small functions takes half the time.

    For large ones it takes longer (LOG.md). It counts for the whole process, if nothing has been compiled before. What
    `XLA_FLAGS` says of it already stays.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if version("jaxlib").startswith(_KNOWN_TO) and "xla_cpu_use_fusion_emitters" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_OLDER_GENERATOR}".strip()
