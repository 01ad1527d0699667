"""Packages whose names are loaded when first used."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy(package: str, home: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package; `home` says which of its modules holds which names.

    A module that is given without names is itself an attribute of the package, as packages within it are.
    No module may bear the name of a function it exports: importing the module would put it where the function belongs.
    """
    places = {name: module for module, names in home.items() for name in names}
    modules = [module for module, names in home.items() if not names]
    everything = sorted([*places, *modules])

    def find(name: str) -> Any:
        if name in places:
            return getattr(importlib.import_module(f"{package}.{places[name]}"), name)
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(everything)}")

    return find, lambda: everything
