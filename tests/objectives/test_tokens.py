"""What is divided by what: against means in float64, for padding, packing, micro-batches and order."""

import inspect
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.objectives import (
    Per,
    inverse_q_learning,
    ppo,
    recovered_reward,
    reinforce,
    sampled_kl,
    token_loss,
    value_loss,
)
from culet.objectives.policy_gradient import clipped_value_loss
from tests.enumerable import assert_close, size

PERS = get_args(Per)
LENGTHS = (5, 1, 3, 2)  # completions, each after a prompt of two tokens
T = 8


def make():
    """Rows of [B, T] with NaN wherever nothing counts, and their mask."""
    rng = np.random.default_rng(0)
    place = np.arange(T)[None, :]
    mask = (place >= 2) & (place < 2 + np.array(LENGTHS)[:, None])
    names = ("policy", "other", "advantages", "values")
    rows: Any = {name: np.where(mask, rng.normal(size=mask.shape), np.nan).astype(np.float32) for name in names}
    return rows | {"mask": mask, "terminal": place == 1 + np.array(LENGTHS)[:, None]}


def plain(rows, per, positions=None):
    values, metrics = rows["policy"], {"other": rows["other"]}
    return token_loss(values, rows["mask"], metrics, per=per, positions=positions)


def policy_gradient(rows, per, positions=None):
    return reinforce(rows["policy"], rows["advantages"], rows["mask"], per=per, positions=positions)


def clipped(rows, per, positions=None):
    return ppo(
        rows["policy"], rows["other"], rows["advantages"], rows["mask"], clip=0.2, per=per, positions=positions
    )  # fmt: skip


def divergence(rows, per, positions=None):
    return sampled_kl(rows["policy"], rows["other"], rows["mask"], direction="reverse", per=per, positions=positions)


def regression(rows, per, positions=None):
    return value_loss(rows["policy"], rows["other"], rows["mask"], per=per, positions=positions)


def held_regression(rows, per, positions=None):
    return clipped_value_loss(
        rows["policy"], rows["other"], rows["values"], rows["mask"], clip=0.1, per=per, positions=positions
    )  # fmt: skip


def inverse(rows, per, positions=None):
    reward = recovered_reward(
        rows["policy"], rows["values"], rows["mask"], rows["terminal"], discount=0.9, positions=positions
    )
    return inverse_q_learning(rows["policy"], reward, rows["mask"], strength=0.3, per=per, positions=positions)


LOSSES = [plain, policy_gradient, clipped, divergence, regression, held_regression, inverse]


@pytest.mark.parametrize("per", PERS)
def test_means_are_those_that_per_names(per):
    rows = make()
    loss = jax.jit(lambda rows: plain(rows, per))(rows)
    texts = [row[keep].astype(np.float64) for row, keep in zip(rows["policy"], rows["mask"], strict=True)]
    wanted = {
        "token": np.concatenate(texts).mean(),
        "sequence": np.mean([text.sum() for text in texts]),
        "sequence_mean": np.mean([text.mean() for text in texts]),
    }
    assert_close(loss.total / loss.weight, wanted[per])
    assert float(loss.weight) == {"token": sum(LENGTHS)}.get(per, len(LENGTHS))
    assert float(loss.metrics["other"]) != 0


CASES = [(plain, "token"), (plain, "sequence"), *((loss, "sequence_mean") for loss in LOSSES)]


@jax.jit
def evaluate(rows, positions=None):
    """Gradient and loss of every case, compiled together."""

    def one(loss, per):
        def total(policy):
            result = loss(rows | {"policy": policy}, per, positions)
            return result.total, result

        return jax.grad(total, has_aux=True)(rows["policy"])

    return [one(*case) for case in CASES]


def junk(name):
    return False if name in ("mask", "terminal") else np.nan


def wide(rows):
    """Padded to twice the length by what must not matter."""
    return {name: np.pad(x, ((0, 0), (0, T)), constant_values=junk(name)) for name, x in rows.items()}


PLACES = np.broadcast_to(np.arange(2 * T, dtype=np.int32), (len(LENGTHS), 2 * T))


def losses(found):
    return [loss for _, loss in found]


def test_padding_order_and_parts_change_nothing():
    rows = make()
    whole = evaluate(rows)
    for slope, _ in whole:
        assert size(slope) > 0.01 and np.isfinite(slope).all()
        assert (slope[~rows["mask"]] == 0).all()
    padded = evaluate(wide(rows), PLACES)
    assert_close([(slope[:, :T], loss) for slope, loss in padded], whole)
    turned = evaluate({name: x[::-1] for name, x in wide(rows).items()}, PLACES)
    assert_close([(slope[::-1, :T], loss) for slope, loss in turned], whole)
    # Micro-batches, of which the first has one text and the second three, and both have empty rows.
    parts = [losses(evaluate(wide(rows | {"mask": rows["mask"] & keep[:, None]}), PLACES))
             for keep in (np.arange(4) == 0, np.arange(4) > 0)]  # fmt: skip
    assert_close(jax.tree.map(jnp.add, *parts), losses(whole))


def test_packing_changes_nothing():
    rows = make()
    kept = np.arange(T)[None, :] < 2 + np.array(LENGTHS)[:, None]
    order = [np.flatnonzero(kept[i : i + 2].ravel()) for i in (0, 2)]

    def pack(array, fill):
        """Two rows with two texts and their prompts each, and two empty rows."""
        packed = [array[2 * i : 2 * i + 2].ravel()[place] for i, place in enumerate(order)] + 2 * [array[0, :0]]
        return np.stack([np.pad(row, (0, 2 * T - len(row)), constant_values=fill) for row in packed])

    packed = {name: pack(x, junk(name)) for name, x in rows.items()}
    positions = pack(PLACES[:, :T], np.int32(99))
    assert (positions == 0).sum() == len(LENGTHS)
    assert_close(losses(evaluate(packed, positions)), losses(evaluate(rows)))


def test_texts_without_prompts_packed_tight_are_told_apart_by_positions():
    values, mask = jnp.array([1.0, 2.0, 3.0, 4.0, 5.0]), jnp.ones(5, bool)
    positions = jnp.array([0, 1, 2, 0, 1])
    loss = token_loss(values, mask, {}, per="sequence_mean", positions=positions)
    assert_close((loss.total, loss.weight), (2.0 + 4.5, 2.0))


def test_nothing_to_learn_from():
    for per in PERS:
        loss = token_loss(jnp.full(3, jnp.nan), jnp.zeros(3, bool), {}, per=per)
        assert (float(loss.total), float(loss.weight)) == (0, 0)


def test_low_precision_is_summed_in_float32():
    values = jnp.ones((1, 3000), jnp.bfloat16)
    loss = token_loss(values, jnp.ones((1, 3000), bool), {}, per="token")
    assert loss.total.dtype == jnp.float32 and float(loss.total) == 3000


def test_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="per is 'batch'; a loss is per 'token', 'sequence', 'sequence_mean'"):
        inspect.unwrap(token_loss)(jnp.ones(2), jnp.ones(2, bool), {}, per="batch")
