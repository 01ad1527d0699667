"""The score of a text: the product at its last token, whatever stands behind it and whoever is read with it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet.align.rewards import RewardModel, scores
from culet.align.rewards import model as home
from tests.align.rewards.judges import judge
from tests.lm.small import small

TEXTS = [np.random.default_rng(n).integers(3, 40, n).tolist() for n in (1, 5, 9, 31, 32, 33, 50, 7)]
call = eqx.filter_jit(lambda model, tokens, length: model(tokens, length))


def padded(junk):
    """The nine tokens of a text and six others behind them."""
    return jnp.asarray(TEXTS[2] + [junk] * 6)


@pytest.mark.parametrize("name", ["one layer", "griffin-100m"])
def test_it_is_the_last_tokens_product_less_the_centre_whatever_stands_behind(name):
    model = eqx.tree_at(lambda tree: tree.centre, judge(name), jnp.array(0.7))
    hidden = eqx.filter_jit(model.backbone.hidden)(jnp.asarray(TEXTS[2]))
    expected = np.asarray(hidden, np.float64)[-1] @ np.asarray(model.head, np.float64) - 0.7
    for junk in (0, 17):
        np.testing.assert_allclose(call(model, padded(junk), jnp.array(9)), expected, rtol=1e-4, atol=1e-5)
    assert abs(call(model, padded(17), jnp.array(15)) - expected) > 1e-2  # those six do count if they are said to


def test_padding_gets_no_gradient():
    gradient = eqx.filter_jit(eqx.filter_grad(lambda model, tokens: model(tokens, jnp.array(9))))
    one, other = (gradient(judge(), padded(junk)) for junk in (0, 17))
    for leaf, same in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.isfinite(leaf).all()
        np.testing.assert_allclose(leaf, same, rtol=1e-5, atol=1e-6)
    assert not one.backbone.embedding[jnp.array([0, 17])].any() and one.backbone.embedding[TEXTS[2][0]].any()


def test_a_fresh_head_scores_with_the_spread_of_one():
    model = RewardModel(small("gemma-2-2b"), key=jax.random.key(1))
    assert model.meaning == "reward" and model.centre == 0 and 0.5 < 33**0.5 * model.head.std() < 1.5


def test_scores_are_those_one_by_one_in_the_order_given():
    model = judge()
    rows = jnp.asarray([text + [0] * (64 - len(text)) for text in TEXTS])
    alone = [call(model, row, jnp.array(len(text))) for row, text in zip(rows, TEXTS, strict=True)]
    found = scores(model, TEXTS, 3)
    np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-4)
    assert found.dtype == np.float32 and np.ptp(found) > 0.5
    np.testing.assert_allclose(scores(model, TEXTS[::-1], 3)[::-1], found, rtol=1e-5, atol=1e-5)
    assert scores(model, []).shape == (0,)


def test_one_program_for_each_power_of_two(monkeypatch):
    shapes = []
    monkeypatch.setattr(home, "_batch_scores", lambda _, tokens, __: shapes.append(tokens.shape) or np.zeros(4))
    scores(judge(), [[3] * n for n in range(1, 129)], 4)
    assert set(shapes) == {(4, 32), (4, 64), (4, 128)} and len(shapes) == 8 + 8 + 16


@pytest.mark.parametrize("length", [0, 129])
def test_nothing_is_cut(length):
    with pytest.raises(ValueError, match=rf"text 1 has {length} tokens; .* reads 1 to 128 and nothing is cut"):
        scores(judge(), [[3], [3] * length])
