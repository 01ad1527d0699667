"""The machine room: fit, checkpoints, meshes, data and plots. Knows nothing of any model.

Names are loaded when first used, so that a module that only writes files or plots does not wait for jax. (No file here
may bear the name of a function it exports: importing the file would put the module where the function belongs.)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from culet.core.checkpoint import CheckpointError, checkpoint_steps, restore_checkpoint, save_checkpoint
    from culet.core.data import Batches, pack
    from culet.core.driver import Interrupted, NonFiniteError, fit
    from culet.core.files import atomic_folder, atomic_write
    from culet.core.mesh import distributed, make_mesh, place, shard, shardings
    from culet.core.optim import adamw, warmup_cosine
    from culet.core.plot import line_plot
    from culet.core.train_state import TrainState, training_step
    from culet.core.tree import named_leaves

_HOME = {
    "checkpoint": ("CheckpointError", "checkpoint_steps", "restore_checkpoint", "save_checkpoint"),
    "data": ("Batches", "pack"),
    "driver": ("Interrupted", "NonFiniteError", "fit"),
    "files": ("atomic_folder", "atomic_write"),
    "mesh": ("distributed", "make_mesh", "place", "shard", "shardings"),
    "optim": ("adamw", "warmup_cosine"),
    "plot": ("line_plot",),
    "train_state": ("TrainState", "training_step"),
    "tree": ("named_leaves",),
}

__all__ = [
    "Batches",
    "CheckpointError",
    "Interrupted",
    "NonFiniteError",
    "TrainState",
    "adamw",
    "atomic_folder",
    "atomic_write",
    "checkpoint_steps",
    "distributed",
    "fit",
    "line_plot",
    "make_mesh",
    "named_leaves",
    "pack",
    "place",
    "restore_checkpoint",
    "save_checkpoint",
    "shard",
    "shardings",
    "training_step",
    "warmup_cosine",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"culet.core.{module}"), name)
    raise AttributeError(f"module 'culet.core' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return list(__all__)
