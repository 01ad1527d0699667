"""The loop: every method learns in it, it goes on bit-equal, and nothing is lost when a judge fails."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align.loop import AlignRecipe, align
from culet.align.methods import (
    Adversarial,
    BestOfN,
    Bond,
    Distil,
    GroupRelative,
    InverseQLearning,
    JBond,
    Likelihood,
    Preferences,
    ProximalPolicy,
    Reinforce,
)
from culet.core.log import read_log
from culet.nn import LoRA, add_lora, lora_filter
from tests.align.tiny import many_a, policy, prompts, recipe

DATA = ("ab", "c")
METHODS = [
    Reinforce(samples=1),
    Reinforce(samples=2),
    GroupRelative(samples=2, updates=2),
    ProximalPolicy(updates=2),
    Preferences(form="ipo"),
    Preferences(form="slic", online=False),
    BestOfN(samples=2),
    Bond(n=2, samples=3),
    JBond(),
    Distil(on_policy=0.5, seed=3),
    Likelihood(source="teacher"),
    Likelihood(smoothing=0.1),
    InverseQLearning(online=0.2),
    Adversarial(),
]


def moved(before, after):
    return max(
        float(abs(np.asarray(a) - np.asarray(b)).max())
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
        if eqx.is_inexact_array(a)
    )


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_method_takes_steps(method, tmp_path):
    start, teacher = policy(), policy(1)
    reward = many_a if method.judged else None
    end = align(
        start, method, prompts(completions=DATA), recipe(reference_rate=0.1), reward=reward, teachers=(teacher,),
        folder=tmp_path, progress=False,
    )  # fmt: skip
    assert 1e-4 < moved(start, end) < 0.1
    row = read_log(tmp_path / "log.jsonl")[-1]
    assert np.isfinite(row["loss"]) and row["tokens"] > 0


@pytest.mark.parametrize("method", [Reinforce(samples=4, beta=0.02), Preferences(beta=0.3)], ids=str)
def test_the_reward_rises(method):
    means = []

    def watched(answers):
        means.append(many_a(answers).mean())
        return many_a(answers)

    numbers = {"steps": 10, "learning_rate": 0.02, "batch_size": 16}
    align(policy(), method, prompts(), recipe(**numbers), reward=watched, progress=False)
    assert means[0] < 2
    assert means[-1] > 4


def test_a_stopped_run_goes_on_bit_equal(tmp_path):
    """Sampling, judging, the moving reference and the optimiser: all of it is in the state."""
    numbers = {"steps": 6, "reference_rate": 0.3, "checkpoint_every": 100}

    def run(folder, reward):
        return align(policy(), JBond(), prompts(), recipe(**numbers), reward=reward, folder=folder, progress=False)

    whole = run(tmp_path / "whole", many_a)
    calls = []

    def dies_at_the_fourth_step(answers):
        calls.append(answers)
        if len(calls) > 6:  # the policy's and the reference's answers, in three steps
            raise RuntimeError("the judge is gone")
        return many_a(answers)

    with pytest.raises(RuntimeError, match="the judge is gone"):
        run(tmp_path / "parts", dies_at_the_fourth_step)
    assert [path.name for path in (tmp_path / "parts" / "checkpoints").iterdir()] == ["00000003"]
    parts = run(tmp_path / "parts", many_a)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True))


def test_the_learning_rate_is_by_default_lower_for_wider_models():
    ends = [
        align(policy(), JBond(), prompts(), recipe(learning_rate=rate), reward=many_a, progress=False)
        for rate in (None, 0.064 / 16)
    ]
    assert moved(*ends) == 0


def test_micro_batches_do_not_change_the_step():
    method = JBond()
    ends = [
        align(policy(), method, prompts(), recipe(micro_batches=parts), reward=many_a, progress=False)
        for parts in (1, 2)
    ]
    assert moved(*ends) < 1e-5


def test_j_bond_sees_only_comparisons():
    """Any increasing map of the reward gives the same policy, to the bit."""
    ends = [
        align(policy(), JBond(), prompts(), recipe(reference_rate=0.2), reward=reward, progress=False)
        for reward in (many_a, lambda answers: np.exp(many_a(answers)) - 7)
    ]
    assert all(np.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, ends), strict=True))


def test_with_adapters_only_they_learn():
    start = add_lora(policy(), "query", 2, 4.0, key=jax.random.key(3))
    end = align(
        start, Reinforce(), prompts(), recipe(reference_rate=0.5), reward=many_a, trainable=lora_filter(start),
        progress=False,
    )  # fmt: skip
    adapters = [eqx.filter(model, lora_filter(start)) for model in (start, end)]
    rest = [eqx.filter(model, lora_filter(start), inverse=True) for model in (start, end)]
    assert moved(*adapters) > 1e-4
    assert moved(*rest) == 0


def test_lora_is_a_setting_of_the_call():
    """The same to the bit as adapters that were added before, with the recipe's seed."""
    lora, numbers = LoRA(rank=2, alpha=4.0, targets="query"), recipe(seed=3)
    before = lora.adapt(policy(), jax.random.key(3))
    settings = {"reward": many_a, "progress": False}
    end = align(policy(), Reinforce(), prompts(), numbers, lora=lora, **settings)
    other = align(before, Reinforce(), prompts(), numbers, trainable=lora_filter(before), **settings)
    assert moved(other, end) == 0 < moved(before, end)
    with pytest.raises(ValueError, match="give either lora, which trains adapters alone, or trainable, not both"):
        align(before, Reinforce(), prompts(), numbers, lora=lora, trainable=lora_filter(before), **settings)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({}, ["0.0", "0.0", "0.0"]),
        ({"reference_rate": 0.25}, ["0.25", "0.6875", "1.265625"]),
        ({"reference_every": 2}, ["0.0", "2.0", "2.0"]),
    ],
    ids=str,
)
def test_references_follow(numbers, expected):
    reference, seen = jnp.zeros(()), []
    for step in (1, 2, 3):
        reference = AlignRecipe(**numbers).reference.update(reference, jnp.float32(step), jnp.int32(step))
        seen.append(str(float(reference)))
    assert seen == expected


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        (Reinforce(), {}, "needs either a reward or a judge"),
        (Reinforce(), {"reward": many_a, "compare": lambda a, b: np.full(len(a), 0.5)}, "needs either"),
        (JBond(), {"compare": lambda a, b: np.full(len(a), 0.5)}, "serves methods that learn from pairs"),
        (Preferences(online=False), {}, "learns from 2 completions of each prompt, and the data has none"),
        (Likelihood(source="teacher"), {}, "needs a teacher"),
        (Distil(), {}, "no teacher to learn from"),
        (Reinforce(), {"reward": lambda answers: np.zeros(3)}, "must give one number for each"),
    ],
)
def test_what_is_missing_is_an_error(method, given, message):
    with pytest.raises(ValueError, match=message):
        align(policy(), method, prompts(), recipe(), progress=False, **given)


def test_a_prompt_beyond_the_context_is_refused():
    with pytest.raises(ValueError, match=r"prompt 2 has 4 tokens and 40 are to follow, but the model's context is 32"):
        align(policy(0, "G"), Reinforce(), prompts(), recipe(new_tokens=40), reward=many_a)


def test_a_reward_that_is_no_number_stops_the_run():
    with pytest.raises(ArithmeticError, match="the reward is nan"):
        align(policy(), Reinforce(), prompts(), recipe(), reward=lambda answers: np.full(8, np.nan), progress=False)


def test_seeds_share_what_is_compiled():
    traced = []

    class Counting(Reinforce):
        def loss(self, models, batch, key):
            traced.append(1)
            return super().loss(models, batch, key)

    align(policy(), Counting(), prompts(), recipe(seed=0), reward=many_a, progress=False)
    once = len(traced)
    align(policy(), Counting(), prompts(), recipe(seed=1), reward=many_a, progress=False)
    assert len(traced) == once
    align(policy(), Counting(beta=0.5), prompts(), recipe(seed=1), reward=many_a, progress=False)
    assert len(traced) > once
