"""Names for the leaves of a pytree, the same in checkpoints, sharding rules and error messages."""

from typing import Any

import jax


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """Leaves in flattening order with their paths, such as `("model.layers.0.weight", array)`."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in flat]
