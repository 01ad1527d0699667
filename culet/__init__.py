"""Culet: the Gemma line of open language models in JAX, and every method published on the way.

Rooms are loaded when first used, so that `import culet` costs nothing:

* `culet.lm`: models, tokenizers, generation.
* `culet.objectives`: losses as pure functions.
* `culet.nn`: the layers.
* `culet.core`: `fit`, checkpoints, meshes, data, plots.
"""

import importlib
from typing import TYPE_CHECKING, Any

from culet.core.memory import keep_freed_memory

keep_freed_memory()

__version__ = "0.1.0"
__all__ = ["core", "lm", "nn", "objectives"]

if TYPE_CHECKING:
    from culet import core, lm, nn, objectives


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"culet.{name}")
    raise AttributeError(f"module 'culet' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
