"""Writes the API reference, static HTML, from the docstrings: `make docs`, then open `build/reference/index.html`."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import culet

OUT = Path("build/reference")


def packages(root: ModuleType = culet) -> Iterator[ModuleType]:
    """The package and those below it, with their lazily loaded names in place; modules are documented by them."""
    for name in getattr(root, "__all__", ()):
        setattr(root, name, getattr(root, name))
    yield root
    for found in pkgutil.iter_modules(root.__path__, f"{root.__name__}."):
        if found.ispkg:
            yield from packages(importlib.import_module(found.name))


def main(out: Path = OUT) -> None:
    """Writes a page for each package into `out`."""
    import pdoc.extract
    import pdoc.render

    pdoc.render.configure(docformat="google", footer_text=f"Culet {culet.__version__}", search=True)
    names = [package.__name__ for package in packages()]
    covered = pdoc.extract.walk_specs(["culet"])  # a package that lists its names lists no packages within it
    pdoc.pdoc("culet", *(name for name in names if name not in covered), output_directory=out)
    print(f"{out / 'index.html'}: the API reference")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
