"""Culet: the Gemma line of open language models in JAX, and every method published on the way.

Rooms are loaded when first used, so that `import culet` costs nothing:

* `culet.lm`: models, tokenizers, generation.
* `culet.objectives`: losses as pure functions.
* `culet.nn`: the layers.
* `culet.distributions`: distributions, bijectors, flows.
* `culet.inference`: posteriors, topic models, and other models that come with their own inference.
* `culet.papers`: the systems, and experiments that put their papers' claims to the test.
* `culet.core`: `fit`, checkpoints, meshes, data, plots, experiments.
"""

import importlib
from typing import TYPE_CHECKING, Any

from culet.core.memory import keep_freed_memory

keep_freed_memory()

__version__ = "0.1.0"
__all__ = ["core", "distributions", "inference", "lm", "nn", "objectives", "papers"]

if TYPE_CHECKING:
    from culet import core, distributions, inference, lm, nn, objectives, papers


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"culet.{name}")
    raise AttributeError(f"module 'culet' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
