import gzip
import json
from itertools import islice

import numpy as np
import pytest
import scipy.sparse

from culet.inference.topics.corpus import (
    as_counts,
    blocks,
    count_words,
    python_sources,
    read_corpus,
    read_lda_c,
    read_vocabulary,
    recount,
    token_blocks,
    words_of,
)

TEXTS = [("a", "The cat_sat on 2 mats."), ("b", "the CAT and the dog"), ("c", "dogs"), ("d", "")]


def test_words_are_runs_of_three_letters():
    assert words_of("Ein Käfer: parse_args2json, é, où") == ["ein", "käfer", "parse", "args", "json"]


def test_counts_by_hand():
    corpus = count_words(TEXTS, min_documents=1, stop_words=["and"])
    assert corpus.vocabulary == ("cat", "dog", "dogs", "mats", "sat", "the")
    assert corpus.counts.toarray().tolist() == [
        [1, 0, 0, 1, 1, 1],
        [1, 1, 0, 0, 0, 2],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    assert corpus.titles == ("a", "b", "c", "d")


def test_rare_and_common_words_go():
    assert count_words(TEXTS, min_documents=2).vocabulary == ("cat", "the")
    assert count_words(TEXTS, min_documents=1, most_share=0.3).vocabulary == ("and", "dog", "dogs", "mats", "sat")


def test_recounting_passes_over_other_words():
    corpus = recount(TEXTS, ("dog", "the"))
    assert corpus.counts.toarray().tolist() == [[0, 1], [1, 2], [0, 0], [0, 0]]


@pytest.mark.parametrize(("texts", "least"), [([], 1), ([("a", "1 2")], 1), (TEXTS, 3)])
def test_an_empty_corpus_is_refused(texts, least):
    with pytest.raises(ValueError, match="an empty corpus"):
        count_words(texts, min_documents=least)


def test_files_of_all_kinds_in_a_folder(tmp_path):
    (tmp_path / "b.md").write_text("cats purr")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"cats sleep"))
    (tmp_path / "c.jsonl").write_text('{"text": "cats eat"}\n{"text": "dogs eat"}\n')
    (tmp_path / "d.png").write_bytes(b"cats")
    corpus = read_corpus([tmp_path], min_documents=1)
    assert corpus.vocabulary == ("cats", "dogs", "eat", "purr", "sleep")
    assert [title.removeprefix(f"{tmp_path}/") for title in corpus.titles] == [
        "a.txt.gz",
        "b.md",
        "c.jsonl:1",
        "c.jsonl:2",
    ]
    np.testing.assert_array_equal(corpus.counts.sum(axis=1).ravel(), [[2, 2, 2, 2]])


def test_lda_c(tmp_path):
    file = tmp_path / "x.dat.gz"
    file.write_bytes(gzip.compress(b"2 0:3 2:1\n0\n1 1:7\n"))
    corpus = read_corpus([file], vocabulary=["one", "two", "three"])
    assert corpus.counts.toarray().tolist() == [[3, 0, 1], [0, 0, 0], [0, 7, 0]]
    assert corpus.vocabulary == ("one", "two", "three")
    assert read_lda_c(file).vocabulary == ("0", "1", "2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("2 0:3 2:1\n3 1:1 2:2\n", ":2: announces 3 words and has 2; was the file cut short"),
        ("2 0:3 2:1\n2 1:1 2:\n", ":2: not a line of LDA-C"),
        ("2 0:3 2:-1\n", ":1: not a line of LDA-C"),
        ("\n", ":1: not a line of LDA-C"),
        ("1 3:1\n", ":1: has word 3, but the vocabulary has only 3"),
        ("0\n", "an empty corpus"),
    ],
)
def test_broken_lda_c_is_refused(tmp_path, content, message):
    (tmp_path / "x.dat").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_lda_c(tmp_path / "x.dat", ["a", "b", "c"])


def test_lda_c_is_not_mixed_with_texts(tmp_path):
    (tmp_path / "x.dat").write_text("1 0:1\n")
    (tmp_path / "y.txt").write_text("words")
    with pytest.raises(ValueError, match="cannot be read together"):
        read_corpus([tmp_path])


def test_a_vocabulary_has_a_word_in_each_line(tmp_path):
    (tmp_path / "vocab.txt").write_text("one\ntwo\n")
    assert read_vocabulary(tmp_path / "vocab.txt") == ("one", "two")


def test_python_sources_are_chunks_of_60_lines():
    first = list(islice(python_sources(), 50))
    assert all(len(text.split("\n")) <= 60 for _, text in first)
    assert len({title for title, _ in first}) == 50
    assert json.dumps(first)  # plain text


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
