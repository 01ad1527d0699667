"""A record of experience, the same for an agent in an environment and a language model that writes an answer.

Axis letters: T steps; B episodes, where a record holds several.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree, Shaped


class Episode(eqx.Module):
    """Steps in the layout of RLDS (Ramos and others 2021, 2111.02767), with axes [T], or [B, T] (by `jax.vmap`).

    Step t holds what was observed, the action taken then, and the reward which that action brought. An episode of n
    actions has n + 1 steps: its last one holds the final observation, and no action or reward that would count.

    * `terminal` marks a final observation after which nothing can follow: its value is 0. `last` without `terminal` is
      truncation, such as a limit of steps: the episode was only cut off there, what lies after has a value, and that is
      the value of the final observation.
    * `mask` is 1 for a real step and 0 for padding, whose contents are arbitrary.

    Several episodes may follow one another on the time axis. One that goes on beyond the end of the record is marked as
    truncated there, and the next record begins with the same observation.

    Raises ValueError for a leaf whose leading axes are not those of `reward`.
    """

    observation: PyTree[Shaped[Array | np.ndarray, "..."]]
    action: PyTree[Shaped[Array | np.ndarray, "..."]]
    reward: Float[Array | np.ndarray, "..."]
    terminal: Bool[Array | np.ndarray, "..."]
    last: Bool[Array | np.ndarray, "..."]
    mask: Float[Array | np.ndarray, "..."]
    extras: PyTree[
        Shaped[Array | np.ndarray, "..."]
    ] = ()  # whatever else belongs to a step: log-probabilities, memories, ...

    def __check_init__(self) -> None:
        wanted = np.shape(self.reward)
        if not wanted:
            raise ValueError("an episode needs an axis of steps, and its reward is a scalar")
        for path, leaf in jax.tree_util.tree_leaves_with_path(self):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            exact = name in ("terminal", "last", "mask")
            if np.shape(leaf) != wanted if exact else np.shape(leaf)[: len(wanted)] != wanted:
                raise ValueError(
                    f"{name} of an episode has the shape {np.shape(leaf)}, and its reward {wanted}; "
                    f"{'the two must be equal' if exact else 'the first must begin with the second'}"
                )

    @property
    def acted(self) -> Float[Array, "*B T"]:
        """1 for each step whose action counts: the real ones, but for the last of each episode."""
        return jnp.where(self.last, 0, self.mask)

    @property
    def discount(self) -> Float[Array, "*B T"]:
        """What RLDS keeps as a discount: 1 where an action led to a step that has a value, 0 elsewhere.

        So 0 for an action that led to a terminal step and for steps whose action does not count, but 1 for an action
        after which the episode was truncated.
        """
        after = jnp.concatenate([self.terminal[..., 1:], jnp.ones_like(self.terminal[..., :1])], axis=-1)
        return jnp.where(after, 0, self.acted)

    def returns(
        self, discount: Float[Array, ""] | float = 1.0, values: Float[Array, "*B T"] | None = None
    ) -> Float[Array, "*B T"]:
        """The sum of the rewards from each step to the end of its episode, each discounted by its distance.

        At a truncated end `values` of the final observation stands for the rewards that would have followed; 0 without
        `values`. The first step of an episode has the return of the whole. 0 for padding.
        """
        rewards = jnp.where(self.acted == 1, self.reward, 0)
        ends = jnp.zeros_like(rewards) if values is None else jnp.where(self.terminal, 0, values)

        def step(later: Array, now: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
            reward, end, last, mask = now
            here = jnp.where(mask == 0, 0, jnp.where(last, end, reward + discount * later))
            return here, here

        steps = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), (rewards, ends, self.last, self.mask))
        _, returns = jax.lax.scan(step, jnp.zeros_like(rewards[..., 0]), steps, reverse=True)
        return jnp.moveaxis(returns, 0, -1)


def concatenate(episodes: Sequence[Episode]) -> Episode:
    """Episodes of axes [T] one after the other on one time axis, as NumPy arrays; `split` takes them apart again.

    Raises ValueError for no episode, and for one with more axes or one that is not marked as ended at its last step.
    """
    if not episodes:
        raise ValueError("there are no episodes to concatenate")
    for i, episode in enumerate(episodes):
        _check_one_axis(episode)
        if not np.all(np.asarray(episode.last)[-1:]):
            raise ValueError(f"episode {i} does not end with a step that is marked as its last")
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *episodes)


def split(episodes: Episode) -> list[Episode]:
    """The episodes that follow one another on the time axis [T], as NumPy arrays, without padding.

    Steps after the last one that is marked as `last` come as an episode of their own. Raises ValueError for a record
    with more axes.
    """
    _check_one_axis(episodes)
    last, real = np.asarray(episodes.last), np.flatnonzero(np.asarray(episodes.mask))
    number = np.cumsum(last) - last  # of the episode of each step
    groups = [real[number[real] == i] for i in np.unique(number[real])]
    return [jax.tree.map(lambda leaf, steps=steps: np.asarray(leaf)[steps], episodes) for steps in groups]


def _check_one_axis(episode: Episode) -> None:
    if np.ndim(episode.reward) != 1:
        raise ValueError(
            f"an episode with the axes of steps alone is needed, and this one's are {episode.reward.shape}"
        )
