"""WARP's loop: its runs are runs of `align`, its merges are the sphere's, and it goes on bit-equal."""

import itertools

import jax
import numpy as np
import pytest

from culet.align.loop import align
from culet.align.methods import Reinforce
from culet.align.warping import REFERENCE_RATE, warp
from culet.core.tree import named_leaves
from tests.align.tiny import many_a, policy, prompts, recipe

TRACED = []


class Counting(Reinforce):
    """Tells how often it is compiled."""

    def loss(self, models, batch, key):
        TRACED.append(1)
        return super().loss(models, batch, key)


METHOD = Counting(beta=0.2)


def loop(seed=0, **settings):
    return warp(policy(), METHOD, prompts(), recipe(seed=seed), **{"reward": many_a, "progress": False} | settings)


def layers(model):
    """All parameters of each layer as one vector, in float64."""
    found = {}
    for path, leaf in named_leaves(model):
        name = ".".join(path.split(".")[:2]) if path.startswith("blocks") else path
        found.setdefault(name, []).append(np.asarray(leaf, np.float64).ravel())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


def test_one_run_of_one_iteration_is_align_held_to_a_moving_average():
    (only,) = loop(runs=1, iterations=1)
    (seed,) = only.seeds
    numbers = recipe(seed=seed, reference_rate=REFERENCE_RATE)
    plain = align(policy(), METHOD, prompts(), numbers, reward=many_a, progress=False)
    assert same(only.ends[0], plain)
    assert not same(plain, policy())
    for found, expected in zip(jax.tree.leaves(only.merged), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_iterations_merge_their_runs_and_go_on_from_a_share_of_that():
    first, second = loop(rate=0.25)
    assert same(first.start, policy())
    for each in (first, second):
        start, one, two, merged = map(layers, (each.start, *each.ends, each.merged))
        assert {"blocks.0", "embedding.weight"} & set(start)
        for name, begin in start.items():
            tasks = one[name] - begin, two[name] - begin
            whole = np.arccos(tasks[0] @ tasks[1] / np.linalg.norm(tasks[0]) / np.linalg.norm(tasks[1]))
            expected = np.sin(whole / 2) / np.sin(whole) * (tasks[0] + tasks[1])
            np.testing.assert_allclose(merged[name] - begin, expected, atol=2e-6)
            assert np.linalg.norm(expected) > 1e-3
    start, merged, goes_on = map(layers, (first.start, first.merged, second.start))
    for name, begin in start.items():
        np.testing.assert_allclose(goes_on[name], 0.75 * begin + 0.25 * merged[name], atol=1e-6)


def test_runs_differ_in_prompts_and_sampling_and_share_what_is_compiled():
    seen = []

    def watched(answers):
        seen.append([(answer.prompt, answer.text) for answer in answers])
        return many_a(answers)

    found = loop(iterations=1, reward=watched)
    once = len(TRACED)
    found += loop(seed=1, reward=watched)
    assert 0 < once == len(TRACED)
    seeds = [seed for each in found for seed in each.seeds]
    assert len(set(seeds)) == len(seeds) == 6
    ends = [end for each in found for end in each.ends]
    assert not any(same(*pair) for pair in itertools.combinations(ends, 2))
    orders = {tuple(prompt for prompt, _ in step) for step in seen[::2]}  # of two steps, a run's first one
    assert len(orders) > 2


def test_a_stopped_loop_goes_on_bit_equal(tmp_path):
    whole, calls = loop(), []

    def dies_in_the_second_iteration(answers):
        calls.append(answers)
        if len(calls) > 5:
            raise RuntimeError("the judge is gone")
        return many_a(answers)

    with pytest.raises(RuntimeError, match="the judge is gone"):
        loop(folder=tmp_path, reward=dies_in_the_second_iteration)
    made = sorted(path.parent.name + "/" + path.name for path in tmp_path.glob("*/*"))
    assert made == ["iteration-1/run-1", "iteration-1/run-2", "iteration-2/run-1"]
    kept = tmp_path / "warp.json"  # as it was written before rate and reference had these names
    kept.write_text(kept.read_text().replace('"rate"', '"share"').replace('"reference_', '"anchor_'))
    parts = loop(folder=tmp_path)
    assert "anchor" not in kept.read_text()
    for one, other in zip(whole, parts, strict=True):
        assert same(one.start, other.start) and same(one.ends, other.ends) and same(one.merged, other.merged)
    with pytest.raises(ValueError, match="holds a loop with other numbers"):
        loop(folder=tmp_path, rate=0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"runs": 0}, "at least one of each"),
        ({"iterations": 0}, "at least one of each"),
        ({"rate": 1.5}, "rate is 1.5"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"reward": None}, "needs either a reward or a judge"),
    ],
    ids=str,
)
def test_numbers_that_make_no_loop_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        loop(**settings)
