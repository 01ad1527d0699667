import numpy as np
import pytest
import scipy.sparse

from culet.inference.topics.counts import as_counts, blocks, token_blocks


def corpus(documents=37, words=90, seed=0):
    return np.random.default_rng(seed).poisson(0.4, (documents, words)) * (np.arange(words) < 70)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.zeros((0, 5)), "empty corpus: 0 documents"),
        (np.zeros((3, 5)), "none of the 3 documents holds a word"),
        (np.zeros(5), "must be a matrix of numbers"),
        ([["a", "b"]], "must be a matrix of numbers"),
        ([[1, 2], [3, -1]], "document 1, word 1 is negative"),
        ([[1, 2], [np.nan, 1]], "document 1, word 0 is not finite"),
        ([[1, 2], [0, 1.5]], "document 1, word 1 is not a whole number: 1.5"),
        (scipy.sparse.csr_matrix(np.array([[0.0, np.inf]])), "word 1 is not finite"),
    ],
)
def test_bad_counts_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        as_counts(counts)


def test_another_vocabulary_is_refused():
    with pytest.raises(ValueError, match="have 90 words and the model has 80"):
        as_counts(corpus(), 80)


def test_counts_given_are_left_alone():
    given = scipy.sparse.coo_matrix(([1, 2, 0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert as_counts(given).toarray().tolist() == [[0, 3], [0, 0]] and given.nnz == 3


@pytest.mark.parametrize("deal", [blocks, token_blocks])
def test_blocks_hold_every_document_once(deal):
    counts = corpus()
    counts[5] = 0  # a document of no words
    dealt, order = deal(as_counts(counts), 8)
    assert sorted(order) == list(range(37))
    rebuilt = np.zeros((len(dealt) * 8, 90))
    for number, block in enumerate(dealt):
        for row in range(8):
            np.add.at(rebuilt[number * 8 + row], block.words[row], block.counts[row])
    np.testing.assert_array_equal(rebuilt[:37], counts[order])
    assert not rebuilt[37:].any()


def test_blocks_have_few_shapes():
    lengths = np.random.default_rng(0).integers(1, 700, 500)
    counts = as_counts((np.arange(700) < lengths[:, None]).astype(int))
    widths = {block.words.shape for block in blocks(counts)[0]}
    assert len(widths) <= 12
    assert {rows for rows, _ in widths} == {16}
    slots = sum(block.words.size for block in blocks(counts)[0])
    assert slots < 1.5 * counts.nnz


def test_a_token_block_has_a_slot_for_each_token():
    dealt, _ = token_blocks(as_counts([[3, 0, 1]]), 1)
    assert dealt[0].words[0, :4].tolist() == [0, 0, 0, 2] and dealt[0].counts.sum() == 4
