import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from culet.lm.tokenizers.training import SPECIALS, train_tokenizer
from culet.quickstart import corpus

TEXTS = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("test_t*.py"))]
TOKENIZER = train_tokenizer(TEXTS, 700)


def test_the_layout_of_ids():
    assert [TOKENIZER.token_bytes(i).decode() for i in range(6)] == list(SPECIALS)
    assert [TOKENIZER.token_bytes(6 + byte) for byte in range(256)] == [bytes([byte]) for byte in range(256)]
    assert TOKENIZER.vocabulary == 700
    pieces = [TOKENIZER.token_bytes(i).decode() for i in range(262, 700)]
    assert max(map(len, pieces)) <= 16
    assert not [piece for piece in pieces if len(piece) > 1 and any(letter.isdigit() for letter in piece)]
    assert not [piece for piece in pieces if " " in piece.lstrip(" ")]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("▁ \x10 \x100\x101 \x10\x10▁0")
@example("<0x41> <pad> \r\n \u2028 \0")
def test_any_text_comes_back(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text, special=False)) == text


def test_the_library_s_own_decoder_agrees():
    for text in (*TEXTS, "▁ \x10 \x100\x101 漢😀"):
        ids = TOKENIZER.encode(text, bos=False, special=False)
        assert TOKENIZER._backend._backend.decode(ids, skip_special_tokens=False) == text  # pyright: ignore


def test_it_compresses():
    text = "".join(TEXTS)
    assert len(TOKENIZER.encode(text, special=False)) < 0.5 * len(text)


def test_the_same_text_gives_the_same_file_whatever_the_threads():
    program = (
        "import hashlib, sys; from pathlib import Path; from culet.lm.tokenizers.training import train_tokenizer\n"
        "texts = [Path(name).read_text(encoding='utf-8') for name in sys.argv[1:]]\n"
        "print(hashlib.sha256(train_tokenizer(texts, 700)._backend.serialise()).hexdigest())"
    )
    files = [str(path) for path in sorted(Path(__file__).parent.glob("test_t*.py"))]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, *files],
            env={**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=True,
            capture_output=True,
        ).stdout
        for threads in ("1", "2", "4")
    }
    assert len(digests) == 1


def test_rare_letters_are_spelled_in_bytes_and_do_not_join_their_neighbours():
    texts = ["ab" * 5000 + " " + "x漢y " * 3]
    tokenizer = train_tokenizer(texts, 372, coverage=0.999)
    assert len(tokenizer.encode("漢", bos=False)) == 3
    assert tokenizer._backend.id("xy") is None
    assert len(train_tokenizer(texts, 372, coverage=1.0).encode("漢", bos=False)) == 1


@pytest.mark.parametrize(
    ("texts", "vocabulary", "coverage", "message"),
    [
        ([], 700, 0.99, "empty corpus"),
        ([""], 700, 0.99, "empty corpus"),
        (["a"], 100, 0.99, "vocabulary 100 is too small: .* 361"),
        (["a"], 700, 1.5, "coverage 1.5"),
    ],
)
def test_bad_input_is_named(texts, vocabulary, coverage, message):
    with pytest.raises(ValueError, match=message):
        train_tokenizer(texts, vocabulary, coverage=coverage)


def test_a_small_text_gives_a_smaller_vocabulary():
    assert train_tokenizer(["aaaa aaaa"], 700).vocabulary < 400


def test_real_text_costs_few_tokens():
    text = "".join(document.text for document in corpus.documents()[:40])
    tokenizer = train_tokenizer([text], 2048)
    assert len(text.encode()) / len(tokenizer.encode(text, special=False)) > 3.3
