import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from culet import core

DOCUMENTS = st.lists(st.integers(0, 40), max_size=25)  # lengths; tokens are numbered, so that each is known again


def numbered(lengths):
    """Documents whose tokens are 1, 2, 3, ... through all of them."""
    ends = np.cumsum([0, *lengths])
    return [np.arange(a + 1, b + 1) for a, b in itertools.pairwise(ends)]


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.integers(1, 16))
def test_every_token_once_with_its_own_target(lengths, length):
    documents = numbered(lengths)
    rows = core.pack(documents, length)
    real = rows["positions"] >= 0
    inputs = rows["inputs"][real]
    assert sorted(inputs) == list(range(1, sum(lengths) + 1))
    follower = {int(a): int(b) for d in documents for a, b in itertools.pairwise(d)}
    for token, target, weight in zip(inputs, rows["targets"][real], rows["weights"][real], strict=True):
        assert (int(target), float(weight)) == ((follower[int(token)], 1.0) if int(token) in follower else (0, 0.0))
    assert not rows["weights"][~real].any()
    assert not rows["inputs"][~real].any()
    assert (rows["positions"][~real] == -1).all()


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.integers(1, 16))
def test_positions_restart_with_each_piece(lengths, length):
    documents = numbered(lengths)
    starts = {int(d[i]) for d in documents for i in range(0, len(d), length)}
    rows = core.pack(documents, length)
    for inputs, positions in zip(rows["inputs"], rows["positions"], strict=True):
        real = int((positions >= 0).sum())
        assert real > 0
        assert (positions[:real] >= 0).all()  # padding only at the end
        for i in range(real):
            new = int(inputs[i]) in starts
            assert positions[i] == (0 if new else positions[i - 1] + 1)
            assert new or inputs[i] == inputs[i - 1] + 1


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.integers(1, 16))
def test_no_two_rows_would_fit_into_one(lengths, length):
    used = sorted((core.pack(numbered(lengths), length)["positions"] >= 0).sum(axis=1).tolist())
    assert len(used) < 2 or used[0] + used[1] > length


def test_waste_on_documents_of_all_lengths():
    lengths = np.random.default_rng(0).geometric(1 / 80, 2000)
    rows = core.pack([np.ones(n, np.int32) for n in lengths], 128)
    assert rows["inputs"].size < 1.01 * lengths.sum()


def test_weights_belong_to_the_token_that_is_predicted():
    prompt_and_answer = np.array([5, 6, 7, 8, 9])
    rows = core.pack([prompt_and_answer, np.array([1, 2])], 8, weights=[np.array([0, 0, 0, 1, 0.5]), np.ones(2)])
    np.testing.assert_array_equal(rows["inputs"], [[5, 6, 7, 8, 9, 1, 2, 0]])
    np.testing.assert_array_equal(rows["targets"], [[6, 7, 8, 9, 0, 2, 0, 0]])
    np.testing.assert_array_equal(rows["weights"], np.array([[0, 0, 1, 0.5, 0, 1, 0, 0]], np.float32))
    np.testing.assert_array_equal(rows["positions"], [[0, 1, 2, 3, 4, 0, 1, -1]])
    assert {k: str(v.dtype) for k, v in rows.items()} == {
        "inputs": "int32",
        "targets": "int32",
        "positions": "int32",
        "weights": "float32",
    }


@pytest.mark.parametrize(
    ("documents", "length", "weights", "message"),
    [
        ([np.ones(3, int)], 0, None, "at least 1"),
        ([np.ones(3, int), np.ones((2, 2), int)], 4, None, "Document 1 is int64"),
        ([np.ones(3)], 4, None, "Document 0 is float64"),
        ([np.ones(3, int)], 4, [np.ones(2)], "Document 0 has 3 tokens but 2 weights"),
        ([np.ones(3, int)], 4, [], "Document 0 has 3 tokens but 0 weights"),
        ([np.ones(3, int)], 4, [np.ones(3), np.ones(1)], "more arrays of weights than documents"),
    ],
)
def test_bad_documents(documents, length, weights, message):
    with pytest.raises(ValueError, match=message):
        core.pack(documents, length, weights)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 5))
def test_each_epoch_holds_every_row_once(count, size, seed):
    batches = core.Batches({"x": np.arange(count)}, size, seed)
    stream = np.concatenate([batches[i]["x"] for i in range(-(-3 * count // size))])
    epochs = [sorted(stream[i * count : (i + 1) * count]) for i in range(3)]
    assert epochs == [list(range(count))] * 3


def test_batches_depend_on_seed_and_step_alone():
    rows = {"x": np.arange(50), "y": np.arange(50) * 2}
    first = core.Batches(rows, 8, seed=1)
    forward = [first[i]["x"] for i in range(20)]
    second = core.Batches(rows, 8, seed=1)
    backward = [second[i]["x"] for i in reversed(range(20))][::-1]
    np.testing.assert_array_equal(forward, backward)
    assert (core.Batches(rows, 8, seed=2)[0]["x"] != forward[0]).any()
    assert sorted(forward[0]) != sorted(forward[6])
    np.testing.assert_array_equal(first[3]["y"], first[3]["x"] * 2)
    # The stream of Philox is fixed by its definition: runs must see this order for as long as Culet lives.
    order = np.random.Generator(np.random.Philox(np.random.SeedSequence([1, 0]))).permutation(50)
    np.testing.assert_array_equal(np.concatenate(forward)[:50], order)


def test_bad_batches():
    with pytest.raises(ValueError, match="at least one row, and as many in every field"):
        core.Batches({"x": np.zeros(3), "y": np.zeros(4)}, 2)
    with pytest.raises(ValueError, match="at least one row"):
        core.Batches({"x": np.zeros(0)}, 2)
    with pytest.raises(ValueError, match="at least one row, not 0"):
        core.Batches({"x": np.zeros(3)}, 0)
    with pytest.raises(IndexError, match="no batch -1"):
        core.Batches({"x": np.zeros(3)}, 1)[-1]
