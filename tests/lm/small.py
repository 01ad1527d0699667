"""Models and a tokenizer small enough for tests: a token stands for a letter, or for a byte of one."""

import dataclasses
from functools import cache
from typing import Any

from culet.lm import Decoder, Tokenizer, scaled
from tests.weights import random_weights

PIECES = [b"a", b"b", b"c", b"ab", b"ca", b" ", *(bytes([byte]) for byte in "é€".encode())]
SHAPES: dict[str, dict[str, Any]] = {
    "gemma-2-2b": {"layers": 3, "window": 6},
    "gemma-3-1b": {"layers": 6, "window": 20, "hidden": 32},
    "griffin-100m": {"layers": 3, "window": 6},
}


class Letters(Tokenizer):
    """Ids 0, 1, 2 are padding, end and beginning; the others stand for `PIECES` in turn."""

    def __init__(self, vocabulary: int = 40):
        self.vocabulary = vocabulary
        self.pad_id, self.eos_id, self.bos_id = 0, 1, 2
        self.stop_ids = (1,)

    def encode(self, text, *, bos=True, eos=False, special=True):
        return [2] * bos + [3 + "abc".index(letter) for letter in text] + [1] * eos

    def token_bytes(self, token, *, skip_special=False):
        return b"" if token < 3 else PIECES[(token - 3) % len(PIECES)]


@cache
def small(name: str, vocabulary: int = 40) -> Decoder:
    """A model of this preset's shape with random weights, whose choices are clear enough to survive rounding.

    Embeddings enter weakly: a random model that sees its last token well says it again for ever.
    """
    config = scaled(name, width=32, vocabulary=vocabulary, context=128, **SHAPES[name])
    return random_weights(dataclasses.replace(config, embedding_scale=0.2).init, spread=2.0)
