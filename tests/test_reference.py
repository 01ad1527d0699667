"""What users may import: every name that a package lists is there, with a docstring, and shown in the API reference."""

import importlib.util
import inspect
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "docs" / "reference.py"
SPEC = importlib.util.spec_from_file_location("reference", SCRIPT)
assert SPEC is not None and SPEC.loader is not None
reference = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(reference)
PACKAGES = {package.__name__: package for package in reference.packages()}


def test_all_packages_are_known():
    folders = {file.parent for file in (SCRIPT.parents[1] / "culet").rglob("__init__.py")}
    assert set(PACKAGES) == {".".join(folder.relative_to(SCRIPT.parents[1]).parts) for folder in folders}


@pytest.mark.parametrize("name", PACKAGES)
def test_exported_names_are_there_and_documented(name):
    exported = getattr(PACKAGES[name], "__all__", [])
    for member in exported:
        thing = getattr(PACKAGES[name], member)
        if inspect.isroutine(thing) or inspect.isclass(thing) or inspect.ismodule(thing):
            assert inspect.getdoc(thing), f"{name}.{member} has no docstring"
