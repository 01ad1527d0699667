"""Which policy is better, and at what cost: win rates, best-of-n, runs at equal divergence, the best of a run.

A run is its points as columns: arrays by name of what was measured, the divergence from the start as "kl" among them,
[P] for one run or [N P] for one of each seed (`Frontier.columns` gives them).

Axis letters: B prompts, S completions of each that are judged, M reference completions of each, N seeds, P points of a
run.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from culet.lm import Decoder

Evaluate = Callable[[Decoder, int], Mapping[str, float]]
"""What `align` calls as it goes: numbers by name, of a policy after so many steps."""


def win_rates(rewards: Float[np.ndarray, "B S"], references: Float[np.ndarray, "B M"]) -> Float[np.ndarray, "B S"]:
    """How often each completion beats one of its prompt's references; a tie counts half."""
    return 0.5 * (1 + np.sign(rewards[:, :, None] - references[:, None, :]).mean(axis=2))


def best_of(rewards: Float[np.ndarray, "B M"], worth: Float[np.ndarray, "B M"], n: int) -> float:
    """What the best of n by a reward is worth, on average over all choices of n of each prompt's M completions.

    With `worth` the rewards themselves it is the mean reward of the best, with `win_rates(rewards, rewards)` its
    win rate against one of the M, itself among them. Raises ValueError for n above M.
    """
    count = rewards.shape[1]
    if n > count:
        raise ValueError(f"the best of {n} cannot be taken of {count} completions")
    fraction = np.array([math.comb(below, n - 1) for below in range(count)], np.float64) / math.comb(count, n)
    rank = rewards.argsort(axis=1).argsort(axis=1)
    return float((fraction[rank] * worth).sum(axis=1).mean())


def gain_at_equal_kl(
    run: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], name: str = "win_rate"
) -> Float[np.ndarray, "N"]:
    """How much more of `name` one run has than another where the other was measured, on average over its points.

    The first run is taken as straight between its own points, so that a curve that flattens counts as less than it is.
    The other's first point, where it began, is left out, and so are its points beyond all of the first run's
    divergences; if that leaves none, its second one counts against the first run's farthest.
    """
    gains = []
    for kl, value, other_kl, other_value in _by_seed(run, other, name):
        order, within = np.argsort(kl), other_kl <= kl.max()
        within[0], within[1] = False, within[1] or not within[1:].any()
        gains.append(float(np.mean(np.interp(other_kl, kl[order], value[order]) - other_value, where=within)))
    return np.array(gains)


def saved_at_equal(
    run: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], name: str = "win_rate"
) -> Float[np.ndarray, "N"]:
    """How much less divergence one run has than another where both first have the most of `name` that both reach."""
    saved = []
    for kl, value, other_kl, other_value in _by_seed(run, other, name):
        level = min(value.max(), other_value.max())
        saved.append(_first(level, other_value, other_kl) - _first(level, value, kl))
    return np.array(saved)


def _by_seed(
    run: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], name: str
) -> Iterator[tuple[np.ndarray, ...]]:
    return zip(*(np.atleast_2d(each[column]) for each in (run, other) for column in ("kl", name)), strict=True)


def _first(level: float, value: Float[np.ndarray, "P"], kl: Float[np.ndarray, "P"]) -> float:
    """The divergence where a curve first comes up to a level."""
    place = int(np.argmax(value >= level))
    if place == 0:
        return float(kl[0])
    return float(np.interp(level, value[place - 1 : place + 1], kl[place - 1 : place + 1]))


class BestPolicy:
    """Measures policies as `evaluate` does, and keeps a copy of the one with the most of `by`, the first of equals.

    It goes to `align(evaluate=...)`, which returns the policy after the last step; the best one is then `policy`, and
    `point` what was measured of it. Both are None before the first call. Give `by` another quantity than what the
    result is reported by, or the choice flatters it.
    """

    def __init__(self, evaluate: Evaluate, by: str):
        self.evaluate, self.by = evaluate, by
        self.policy: Decoder | None = None
        self.point: Mapping[str, float] | None = None
        self.points: list[Mapping[str, float]] = []  # of all policies, in their order

    def __call__(self, policy: Decoder, step: int) -> Mapping[str, float]:
        """Raises KeyError, naming what was measured, where `by` is not among it."""
        point = {"step": float(step)} | dict(self.evaluate(policy, step))
        if self.by not in point:
            raise KeyError(f"no {self.by!r} to choose the best policy by; measured were {', '.join(sorted(point))}")
        self.points.append(point)
        if self.point is None or point[self.by] > self.point[self.by]:
            self.policy, self.point = jax.tree.map(_copy, policy), point  # training goes on in the same memory
        return point


def _copy(leaf: Any) -> Any:
    return jnp.copy(leaf) if eqx.is_array(leaf) else leaf
