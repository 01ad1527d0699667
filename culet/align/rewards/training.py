"""From judged examples to a reward model: the one loop, with the loss of Bradley and Terry.

A batch is the dict of arrays that `culet.align.rewards.examples` makes. A statement is a pair whose second text has the
score 0: the loss is then the binary cross-entropy of the first one's log-odds.

Axis letters: B examples in a batch, K texts in an example (two answers, or one statement).
"""

import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree
from rich.console import Console

from culet.align.rewards.model import RewardModel, scores
from culet.lm import Recipe, train
from culet.lm._train import Rows, filled
from culet.objectives import Loss, Objective, bradley_terry

CENTRED_ON = 1024  # pairs


def judgement(*, remat: bool = False, scan: bool = False) -> Objective:
    """The cross-entropy of labels, hard or soft, under a `RewardModel`; every example has its weight in the mean."""

    def loss(model: RewardModel, batch: Mapping[str, Array], key: Key[Array, ""]) -> Loss:
        del key
        read = jax.vmap(jax.vmap(lambda tokens, length: model(tokens, length, remat=remat, scan=scan)))
        found = read(batch["tokens"], batch["lengths"])
        first, second = found[:, 0], found[:, 1] if found.shape[1] == 2 else jnp.zeros_like(found[:, 0])
        return bradley_terry(first, second, batch["labels"], batch["weights"])

    return loss


def evaluate_judgement(model: RewardModel, rows: Rows, batch_size: int = 16) -> dict[str, float]:
    """The mean loss in nats over `rows`, and the `accuracy`: the share of labels other than 0.5 that it agrees with.

    The accuracy of labels that are all 0.5 is NaN.
    """
    sums = []  # on the device until the end, so that batches follow each other without a wait
    for start in range(0, len(rows["labels"]), batch_size):
        batch = {
            name: jnp.asarray(filled(array[start : start + batch_size], batch_size)) for name, array in rows.items()
        }
        found = _sums(model, batch)
        sums.append((found.total, found.weight, found.metrics["accuracy"], found.metrics["decided"]))
    total, weight, right, decided = (np.sum(part, dtype=np.float64) for part in zip(*jax.device_get(sums), strict=True))
    return {"loss": float(total / weight), "accuracy": float(right / decided) if decided else float("nan")}


def train_reward_model(
    model: RewardModel,
    rows: Rows,
    recipe: Recipe,
    *,
    trainable: PyTree = eqx.is_inexact_array,
    held_out: Rows | None = None,
    folder: str | Path | None = None,
    name: str = "reward model",
    progress: bool = True,
) -> RewardModel:
    """Trains a reward model on `preference_rows`, or one of entailment on `statement_rows`; gives the trained one.

    `trainable` is an Equinox filter of the backbone's parameters; the head is trained in any case. `held_out` rows are
    evaluated on as the run goes, by loss and accuracy. In the end the zero of a reward is put at its mean over both
    answers of the training pairs (of `CENTRED_ON`, evenly spaced, if there are more).

    Raises ValueError for rows of the other kind than the model's meaning, else as `culet.core.fit` does.
    """
    texts = {"reward": 2, "entailment": 1}[model.meaning]
    for given in (rows,) if held_out is None else (rows, held_out):
        if given["tokens"].shape[1] != texts:
            raise ValueError(
                f"a model of {model.meaning} learns from examples of {texts} texts, not {given['tokens'].shape[1]}"
            )
    only = eqx.tree_at(lambda tree: (tree.backbone, tree.head, tree.centre), model, (trainable, True, False))
    trained = train(
        model, rows, recipe, loss=_kept(remat=recipe.remat, scan=recipe.scan), trainable=only, held_out=held_out,
        measure=evaluate_judgement, folder=folder, name=name, progress=progress,
    )  # fmt: skip
    if model.meaning == "entailment":
        return trained
    with Console(stderr=True).status("putting the zero") if progress else contextlib.nullcontext():
        return _centred(trained, rows, recipe.batch_size)


_kept = functools.cache(judgement)  # so that reward models of the same shapes share what is compiled


def _centred(model: RewardModel, rows: Rows, batch_size: int) -> RewardModel:
    """The model whose mean score over the pairs is 0."""
    counted = np.flatnonzero(rows["weights"])
    chosen = counted[np.linspace(0, len(counted) - 1, min(len(counted), CENTRED_ON)).astype(int)]
    texts = [
        row[:length].tolist()
        for tokens, lengths in zip(rows["tokens"][chosen], rows["lengths"][chosen], strict=True)
        for row, length in zip(tokens, lengths, strict=True)
    ]
    mean = jnp.asarray(scores(model, texts, batch_size).mean())
    return eqx.tree_at(lambda tree: tree.centre, model, model.centre + mean)


@eqx.filter_jit
def _sums(model: RewardModel, batch: Mapping[str, Array]) -> Loss:
    return judgement()(model, batch, jax.random.key(0))
