"""The tokenizer of tunes: one token a word, as any tokenizer of the library."""

import pytest

from culet.audio.tunes.tune import bar_length, key_of
from culet.lm import Tokenizer
from culet.tasks.tunes.tokens import KEYS, LENGTHS, METRES, PITCHES, SPECIALS, tune_tokenizer

PROMPT, REST = "K:Bbm M:6/8 D5:2", " F#5:10 z:4 | A#3:1"


@pytest.fixture(scope="module")
def words():
    return tune_tokenizer()


def test_every_word_has_its_own_token(words):
    ids = words.encode(PROMPT + REST, eos=True)
    assert len(ids) == len(set(ids)) == 2 + len((PROMPT + REST).split())
    assert (ids[0], ids[-1]) == (words.bos_id, words.eos_id)
    assert words.decode(ids) == PROMPT + REST
    assert words.vocabulary == len(SPECIALS) + len(KEYS) + len(METRES) + 1 + len(LENGTHS) * (len(PITCHES) + 1)


def test_a_text_can_be_cut_between_words(words):
    apart = words.encode(PROMPT) + words.encode(REST, bos=False)
    assert apart == words.encode(PROMPT + REST)
    assert words.decode(words.encode(REST, bos=False)) == REST


def test_other_words_are_unknown(words):
    assert words.encode(" H5:2 D9:2 D5:5", bos=False) == 3 * [words.specials["<unk>"]]


def test_it_can_be_saved(words, tmp_path):
    words.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.encode(PROMPT + REST) == words.encode(PROMPT + REST) and again.stop_ids == words.stop_ids


def test_all_keys_and_metres_are_such():
    assert len({(key_of(key)[0], key.endswith("m")) for key in KEYS}) == 24
    assert all(bar_length(metre) for metre in METRES)
