"""Distributions, bijectors and flows. Names are loaded when first used."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.distributions.bijector import Bijector

_HOME = {
    "bijector": ("Bijector",),
}

__all__ = [
    "Bijector",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
