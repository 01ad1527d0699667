"""Training infrastructure: fit, episodes, checkpoints, meshes, data and plots. Knows nothing of any model.

Names are loaded when first used, so that a module that only writes files or plots does not wait for jax.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.core._fit import NonFiniteError, fit
    from culet.core.checkpoint import CheckpointError, checkpoint_steps, restore_checkpoint, save_checkpoint
    from culet.core.data import Batches, pack
    from culet.core.episode import Episode
    from culet.core.files import atomic_folder, atomic_write
    from culet.core.interrupt import Interrupted
    from culet.core.keys import as_key
    from culet.core.mesh import distributed, make_mesh, place, shard, shardings
    from culet.core.optimizers import adamw, optimizer_of, optimizer_per_model, warmup_cosine
    from culet.core.per_example import clipped_sum, per_example_gradients
    from culet.core.plot import line_plot
    from culet.core.settings import Setting, TrainingRecipe
    from culet.core.slow_copy import SlowCopy
    from culet.core.train_state import TrainState, training_step
    from culet.core.tree import named_leaves

_HOME = {
    "checkpoint": ("CheckpointError", "checkpoint_steps", "restore_checkpoint", "save_checkpoint"),
    "data": ("Batches", "pack"),
    "episode": ("Episode",),
    "_fit": ("NonFiniteError", "fit"),
    "interrupt": ("Interrupted",),
    "files": ("atomic_folder", "atomic_write"),
    "keys": ("as_key",),
    "mesh": ("distributed", "make_mesh", "place", "shard", "shardings"),
    "optimizers": ("adamw", "optimizer_of", "optimizer_per_model", "warmup_cosine"),
    "per_example": ("clipped_sum", "per_example_gradients"),
    "plot": ("line_plot",),
    "settings": ("Setting", "TrainingRecipe"),
    "slow_copy": ("SlowCopy",),
    "train_state": ("TrainState", "training_step"),
    "tree": ("named_leaves",),
}

__all__ = [
    "Batches",
    "CheckpointError",
    "Episode",
    "Interrupted",
    "NonFiniteError",
    "Setting",
    "SlowCopy",
    "TrainState",
    "TrainingRecipe",
    "adamw",
    "as_key",
    "atomic_folder",
    "atomic_write",
    "checkpoint_steps",
    "clipped_sum",
    "distributed",
    "fit",
    "line_plot",
    "make_mesh",
    "named_leaves",
    "optimizer_of",
    "optimizer_per_model",
    "pack",
    "per_example_gradients",
    "place",
    "restore_checkpoint",
    "save_checkpoint",
    "shard",
    "shardings",
    "training_step",
    "warmup_cosine",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
