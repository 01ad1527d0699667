"""Culet: the Gemma line of open language models in JAX, and every method published on the way.

Packages are loaded when first used, so that `import culet` costs nothing:

* `culet.lm`: models, tokenizers, generation, training.
* `culet.align`: post-training by rewards, preferences and teachers.
* `culet.quickstart`: from nothing to a small model that answers.
* `culet.inference`: posteriors for any log density, topic models.
* `culet.astronomy`, `culet.audio`, `culet.generative`: telescope images; sound and tunes; autoencoders.
* `culet.distributions`: distributions, bijectors, flows.
* `culet.objectives`: losses as pure functions.
* `culet.nn`: the layers.
* `culet.experiments`, `culet.tasks`, `culet.papers`: how a claim is tested; problems that tests share; the systems.
* `culet.core`: `fit`, checkpoints, meshes, data, logs and plots.
* `culet.cli`: the command.
"""

import importlib
from typing import TYPE_CHECKING, Any

from culet.core.memory import keep_freed_memory

keep_freed_memory()

__version__ = "0.1.0"
__all__ = [
    "align",
    "astronomy",
    "audio",
    "cli",
    "core",
    "distributions",
    "experiments",
    "generative",
    "inference",
    "lm",
    "nn",
    "objectives",
    "papers",
    "quickstart",
    "tasks",
]

if TYPE_CHECKING:
    from culet import (
        align,
        astronomy,
        audio,
        cli,
        core,
        distributions,
        experiments,
        generative,
        inference,
        lm,
        nn,
        objectives,
        papers,
        quickstart,
        tasks,
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"culet.{name}")
    raise AttributeError(f"module 'culet' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
