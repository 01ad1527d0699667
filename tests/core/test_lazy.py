"""Packages whose names are loaded when first used: what they have, and what they say they have."""

import importlib

import pytest

import culet


@pytest.mark.parametrize("package", [culet.align, culet.align.methods, culet.align.rewards, culet.objectives], ids=str)
def test_all_that_a_package_names_is_there(package):
    assert sorted(package.__all__) == dir(package)
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_packages_within_a_package_are_its_attributes():
    assert culet.align.methods is importlib.import_module("culet.align.methods")


def test_an_unknown_name_is_an_error_that_says_what_there_is():
    with pytest.raises(AttributeError, match=r"has no attribute 'aling'; it has .*, align, .*methods"):
        culet.align.aling  # noqa: B018 - asked for and not there
