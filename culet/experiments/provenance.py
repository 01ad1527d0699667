"""Where a result comes from: code, versions and machine."""

import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
_LIBRARIES = ("jax", "jaxlib", "equinox", "optax", "numpy")


def checkout() -> Path | None:
    """The source checkout that this package runs from; None where it is installed without one."""
    root = PACKAGE.parent
    return root if (root / ".git").exists() and (root / "pyproject.toml").exists() else None


def commit() -> str | None:
    """The commit of the checkout, with "-dirty" behind it if the package differs from it; None without a checkout."""
    root = checkout()
    if root is None:
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("-dirty" if _git(root, "status", "--porcelain", "--", PACKAGE.name) else "")
    except (OSError, subprocess.CalledProcessError):  # no git here, or no commit yet
        return None


def versions() -> dict[str, str]:
    """Of Python, culet and the libraries that compute."""
    import culet

    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), "culet": culet.__version__} | libraries


def machine() -> dict[str, str | int]:
    """What kind of machine this is: architecture, usable cores, and the device that jax computes on."""
    import jax

    return {"architecture": platform.machine(), "cores": _cores(), "device": jax.devices()[0].device_kind}


@functools.cache
def fingerprint() -> str:
    """A name for the package's code with the versions and machine under it: equal names promise equal results."""
    digest = hashlib.sha256(repr((versions(), machine())).encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
