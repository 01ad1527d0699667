"""The loop of post-training: sample, judge, learn, in one process and with one tree of parameters.

Axis letters: B prompts, K completions of each, R = B K rows.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from culet.align.experience import Experience, Method, Models, RolloutSource, grouped
from culet.align.judging import answers_of, compared, judged
from culet.align.prompts import PromptSet
from culet.align.rewards.answer import Reward
from culet.align.rewards.preference import Preference
from culet.align.rollout import Prompts, Rollout, check_sampler, sample
from culet.align.scorer import Scorer
from culet.core import SlowCopy, TrainState, fit, optimizer_of, training_step
from culet.core.settings import CheckpointEvery, Setting, Steps, TrainingRecipe, Warmup, WeightDecay
from culet.lm import Decoder, LoRA
from culet.lm.sampling import Sampling
from culet.nn import lora_filter

RATE_BY_WIDTH = 0.064  # Adam's best rate falls as a model gets wider (Yang and others 2022, 2203.03466)
_RENAMED = {"anchor_rate": "reference_rate", "anchor_every": "reference_every"}
SOURCES: tuple[RolloutSource, ...] = ("policy", "reference", "teacher", "data")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlignRecipe(TrainingRecipe):
    """The numbers of a run. Raises ValueError for numbers that do not go together."""

    steps: Steps = 200
    batch_size: Annotated[int, Setting("Prompts per step.", min=2)] = 16
    new_tokens: Annotated[int, Setting("Longest completion, in tokens.", min=1)] = 64
    temperature: Annotated[float, Setting("Of the completions learned from.", min=0.01)] = 1.0
    top_k: Annotated[int | None, Setting("Draw from this many likeliest tokens only.", min=1)] = None
    top_p: Annotated[float | None, Setting("Draw from the likeliest tokens with this mass.", min=0.01, max=1)] = None
    learning_rate: Annotated[
        float | None,
        Setting(f"Its peak, after the warm-up; a cosine follows. Default: {RATE_BY_WIDTH} / the model's width.", min=0),
    ] = None
    warmup: Warmup = 0.1
    weight_decay: WeightDecay = 0.0
    checkpoint_every: CheckpointEvery = 50
    evaluate_every: Annotated[int, Setting("Steps between evaluations: points of the frontier.", min=1)] = 20
    seed: Annotated[int, Setting("Of prompt order and sampling.")] = 0
    reference_rate: Annotated[
        float | None,
        Setting(
            "How far the reference model moves to the policy at each step, from 0 to 1. Default: the method's.", 0, 1
        ),
    ] = None
    reference_every: Annotated[
        int, Setting("Steps after which the policy becomes the reference model, again and again; 0: never.", min=0)
    ] = 0

    def __post_init__(self):
        super().__post_init__()
        if self.reference_rate is not None and not 0 <= self.reference_rate <= 1:
            raise ValueError(
                f"reference_rate is {self.reference_rate}; it must be from 0, where the reference model stays, to 1"
            )
        if self.reference_rate and self.reference_every:
            raise ValueError(
                "the reference model is a moving average (reference_rate) or a snapshot (reference_every), not both"
            )

    @property
    def reference(self) -> SlowCopy:
        """How the reference model follows the policy."""
        return SlowCopy(rate=self.reference_rate or None, every=self.reference_every)


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a recipe from a file, those that once had other names under today's."""
    return {_RENAMED.get(name, name): value for name, value in settings.items()}


class AlignState(eqx.Module):
    """The state of a run between two steps."""

    train: TrainState  # its model is the trained half of `Models`
    reference: PyTree  # the leaves of the reference model that are trained in the policy: with adapters, theirs

    @classmethod
    def create(cls, trained: Models, optimizer: Any, key: Key[Array, ""]) -> "AlignState":
        """The state before the first step, with the policy as the reference model."""
        return cls(TrainState.create(trained, optimizer, key), jax.tree.map(_copy, trained.policy))

    def models(self, frozen: Models) -> Models:
        """Everyone, with what is not trained put back."""
        return eqx.combine(self.train.model, self.rest(frozen))

    def rest(self, frozen: Models) -> Models:
        """Everyone but what is trained: the frozen half, and the reference model as it is now."""
        reference = eqx.combine(self.reference, frozen.policy)
        return eqx.tree_at(lambda models: models.reference, frozen, reference, is_leaf=_none)


def halves(models: Models, trainable: PyTree) -> tuple[Models, Models]:
    """What is trained, of the policy only what `trainable` lets through, and what is not, without the reference.

    `models.reference` must have the policy's structure.
    """
    learns = eqx.is_inexact_array
    trained, frozen = eqx.partition(models, Models(trainable, False, learns, learns, False))
    return trained, eqx.tree_at(lambda models: models.reference, frozen, None)


def _none(leaf: Any) -> bool:
    return leaf is None


def _copy(leaf: Any) -> Any:
    return jnp.copy(leaf) if eqx.is_array(leaf) else leaf


def align(
    policy: Decoder,
    method: Method,
    prompts: PromptSet,
    recipe: AlignRecipe,
    *,
    reward: Reward | None = None,
    compare: Preference | None = None,
    teachers: tuple[Decoder, ...] = (),
    lora: LoRA | None = None,
    trainable: PyTree = eqx.is_inexact_array,
    evaluate: Callable[[Decoder, int], Mapping[str, float]] | None = None,
    folder: str | Path | None = None,
    name: str = "aligning",
    progress: bool = True,
) -> Decoder:
    """Trains a policy by a method and returns it; `policy` stays as it was.

    The reference model begins as the policy and follows it as the recipe says, which also says the number of prompts
    in a step, their order and the length of completions. Completions are judged by `reward`, or two of a prompt by
    `compare`. With `lora`, adapters are added and learn alone; the result keeps them (see `culet.lm.LoRA`). What
    `trainable`, an Equinox filter, leaves out is neither changed nor saved. `evaluate(policy, step)`, a `Frontier` say,
    gives numbers to log. At the first step of every run sampler and trainer are checked to agree (`check_sampler`).

    A run with a `folder` goes on there, bit for bit, and is saved when a judge fails (`culet.core.fit`, which raises
    what else can go wrong). Raises ValueError for a method without the reward, judge, teacher or data that it needs,
    for prompts that do not fit the model's context, and for both `lora` and `trainable`.
    """
    if recipe.reference_rate is None and not recipe.reference_every:
        recipe = dataclasses.replace(recipe, reference_rate=method.reference_rate)
    if recipe.learning_rate is None:
        recipe = dataclasses.replace(recipe, learning_rate=RATE_BY_WIDTH / policy.config.width)
    check_run(policy, method, prompts, recipe, reward=reward, compare=compare, teachers=len(teachers))
    if lora is not None:
        if trainable is not eqx.is_inexact_array:
            raise ValueError("give either lora, which trains adapters alone, or trainable, not both")
        policy = lora.adapt(policy, jax.random.key(recipe.seed))
        trainable = lora_filter(policy)
    collector = _Collector(method, prompts, recipe, reward, compare)
    state, frozen = _start(policy, method, recipe, teachers, trainable)
    step = _step(method, dataclasses.replace(recipe, seed=0))  # of which there is one for all seeds
    batches = prompts.batches(recipe.batch_size, recipe.seed)
    state, _ = fit(
        step, state, batches, steps=recipe.steps, fixed=(frozen,), folder=folder,
        prepare=lambda state, batch: collector.collect(state.models(frozen), state.train, batch["row"]),
        checkpoint_every=recipe.checkpoint_every, name=name, progress=progress, evaluate_every=recipe.evaluate_every,
        evaluate=None if evaluate is None else lambda at: evaluate(at.models(frozen).policy, int(at.train.step)),
    )  # fmt: skip
    return state.models(frozen).policy


def check_run(
    policy: Decoder, method: Method, prompts: PromptSet, recipe: AlignRecipe, *, reward: Reward | None,
    compare: Preference | None, teachers: int,
) -> None:  # fmt: skip
    """Raises ValueError for what would else fail only at some step: see `align`."""
    sources = {source: count for step in range(64) for source, count in method.sources(step).items()}
    slots, config = prompts.prompts.tokens.shape[1], policy.config
    if "G" in config.kinds and slots + recipe.new_tokens > config.context:
        longest = int(np.argmin(prompts.prompts.padding))
        raise ValueError(
            f"prompt {longest} has {slots} tokens and {recipe.new_tokens} are to follow, but the model's context is "
            f"{config.context}; shorten the prompt or ask for fewer new tokens"
        )
    if "data" in sources:
        prompts.data(range(len(prompts.rows)), sources["data"], recipe.new_tokens)
    if "teacher" in sources and not teachers:
        raise ValueError("this method needs a teacher")
    if not method.judged:
        return
    if (reward is None) == (compare is None):
        raise ValueError("this method needs either a reward or a judge that compares two answers")
    if compare is not None and any(sources[source] != 2 for source in method.judged):
        raise ValueError("a judge that compares two answers serves methods that learn from pairs; give a reward")


def _start(
    policy: Decoder, method: Method, recipe: AlignRecipe, teachers: tuple[Decoder, ...], trainable: PyTree
) -> tuple[AlignState, Models]:
    """The state before the first step, and what is not trained."""
    critic = Scorer.create(policy) if method.critic else None
    discriminator = Scorer.create(policy) if method.discriminator else None
    trained, frozen = halves(Models(policy, policy, critic, discriminator, teachers), trainable)
    trained = jax.tree.map(jnp.copy, trained)  # `fit` consumes its state, and the caller may need the policy again
    return AlignState.create(trained, optimizer_of(recipe)[1], jax.random.key(recipe.seed)), frozen


@functools.lru_cache(maxsize=8)
def _step(method: Method, recipe: AlignRecipe) -> Callable[..., Any]:
    """`step(state, batch, frozen)` for `fit`: the method's updates on a batch, then that of the reference model."""
    schedule, optimizer = optimizer_of(recipe)
    learn = training_step(
        method.loss, optimizer, micro_batches=recipe.micro_batches, clip=recipe.clip, schedule=schedule
    )

    def step(state: AlignState, batch: Experience, frozen: Models) -> tuple[AlignState, dict[str, Array]]:
        rest = state.rest(frozen)
        train, metrics = learn(state.train, batch, rest)
        for _ in range(method.updates - 1):
            train, metrics = learn(train, batch, rest)
        done = state.train.step + 1
        reference = recipe.reference.update(state.reference, train.model.policy, done)
        return AlignState(eqx.tree_at(lambda t: t.step, train, done), reference), metrics | _statistics(batch)

    return step


def _statistics(batch: Experience) -> dict[str, Array]:
    """Mean rewards and lengths by source, and the number of tokens that were written."""
    statistics: dict[str, Array] = {"tokens": sum((r.mask.sum() for r in batch.rollouts.values()), jnp.zeros(()))}
    for source, rewards in batch.rewards.items():
        statistics[f"reward/{source}"] = rewards.mean()
    for source, rollout in batch.rollouts.items():
        statistics[f"length/{source}"] = rollout.mask.sum(axis=-1).mean()
    return statistics


@functools.lru_cache(maxsize=8)
def _compiled_targets(method: Method) -> Callable[..., Any]:
    return eqx.filter_jit(method.compute_targets)


class _Collector:
    """Makes an experience of a batch of prompts: rollouts, their rewards, and the method's targets."""

    def __init__(self, method, prompts: PromptSet, recipe: AlignRecipe, reward, compare):
        self.method, self.prompts, self.recipe, self.reward, self.compare = method, prompts, recipe, reward, compare
        self.sampling = Sampling(
            recipe.temperature, recipe.top_k, recipe.top_p, vocabulary=prompts.tokenizer.vocabulary
        )
        self.stop_ids = jnp.asarray(prompts.tokenizer.stop_ids, jnp.int32)
        self.unchecked = True
        self.compute_targets = _compiled_targets(method)

    def collect(self, models: Models, train: Any, numbers: np.ndarray) -> Experience:
        sources = self.method.sources(int(train.step))
        key = jax.random.fold_in(train.key, 1)
        rollouts = {}
        for source, times in sources.items():
            source_key = jax.random.fold_in(key, SOURCES.index(source))
            rollouts[source] = self._rollout(models, source, numbers, times, source_key)
        if self.unchecked and "policy" in rollouts:
            check_sampler(models.policy, rollouts["policy"], self.sampling)
            self.unchecked = False
        rewards = {
            source: jnp.asarray(self._rewards(rollouts[source], numbers, sources[source]))
            for source in self.method.judged
        }
        experience = Experience(
            {source: grouped(rollout, sources[source]) for source, rollout in rollouts.items()},
            rewards, jnp.asarray(self.prompts.teacher_ids[numbers]), {},
        )  # fmt: skip
        return eqx.tree_at(lambda e: e.targets, experience, dict(self.compute_targets(models, experience)))

    def _rollout(
        self, models: Models, source: RolloutSource, numbers: np.ndarray, times: int, key: Key[Array, ""]
    ) -> Rollout:
        if source == "data":
            return self.prompts.data(numbers, times, self.recipe.new_tokens)
        if source == "teacher":
            return self._by_teachers(models.teachers, numbers, times, key)
        model = models.policy if source == "policy" else models.reference
        return self._sample(model, self.prompts.repeated(numbers, times), key)

    def _by_teachers(
        self, teachers: tuple[Decoder, ...], numbers: np.ndarray, times: int, key: Key[Array, ""]
    ) -> Rollout:
        """Each prompt's completions by its own teacher; all teachers write for all, so that shapes stay."""
        prompts, ids = self.prompts.repeated(numbers, times), np.repeat(self.prompts.teacher_ids[numbers], times)
        if max(ids) >= len(teachers):
            raise ValueError(f'a prompt names teacher {max(ids)} in "teacher"; there are {len(teachers)}')
        by_each = [self._sample(teacher, prompts, key) for teacher in teachers]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves)[ids, np.arange(len(ids))], *by_each)

    def _sample(self, model: Decoder | None, prompts: Prompts, key: Key[Array, ""]) -> Rollout:
        assert model is not None
        return sample(model, prompts, self.sampling, self.stop_ids, self.recipe.new_tokens, key)

    def _rewards(self, rollout: Rollout, numbers: np.ndarray, times: int) -> np.ndarray:
        rows = [self.prompts.rows[number] for number in np.repeat(numbers, times).tolist()]
        answers = answers_of(rollout, rows, self.prompts.tokenizer)
        if self.compare is not None:
            return compared(self.compare, answers)
        assert self.reward is not None
        return judged(self.reward, answers, times)
