"""Learning a vocabulary from text, in the manner of Gemma's.

Byte-pair merges over words (Sennrich et al. 2016, arXiv:1508.07909) with byte fallback: a letter too rare to have an
id of its own is spelled in UTF-8 bytes, so that nothing is ever unknown. Spaces are written U+2581, digits stand alone.
"""

import json
import string
from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.console import Console

from culet.lm.tokenizers.chat_template import GEMMA_TEMPLATE
from culet.lm.tokenizers.tokenizer import TURNS, JsonFile, Tokenizer

SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>", *TURNS)
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_SPACE = "▁"
# A text may itself hold U+2581. The letter that ASCII keeps for such cases, "data link escape", tells it from a space:
# it is written as this letter and 0, and the letter itself as this letter and 1.
_ESCAPE = "\x10"
_ESCAPED = {_ESCAPE: _ESCAPE + "1", _SPACE: _ESCAPE + "0"}
# Words and runs of signs with the space in front of them, single digits, and the rest of longer runs of spaces.
_WORDS = (
    rf"{_ESCAPE}[01]|{_SPACE}?[\p{{L}}\p{{M}}]+|\p{{N}}|{_SPACE}?[^\p{{L}}\p{{M}}\p{{N}}\s{_SPACE}{_ESCAPE}]+"
    rf"|{_SPACE}+(?={_SPACE})|{_SPACE}|\s+"
)
_ALWAYS = {*string.ascii_letters, *string.digits, *string.punctuation, "\n", _SPACE, _ESCAPE}
_LONGEST = 16  # letters in one token, as in SentencePiece


def train_tokenizer(texts: Iterable[str], vocabulary: int, *, coverage: float = 0.9998) -> Tokenizer:
    """Learns `vocabulary` tokens from `texts`, which are read once and kept in memory.

    The ids are: the six of `SPECIALS`, 256 bytes, ASCII and the letters that with it make up `coverage` of the text,
    and merges in the order in which they were learned. The same texts give the same file, byte for byte; encoding and
    decoding gives back any Unicode text. Fewer ids than asked for result where the text has no more pairs to merge.

    Raises `ValueError` for an empty corpus, for `coverage` outside 0 to 1, and for a vocabulary too small for bytes
    and letters.
    """
    from tokenizers import Tokenizer as Learner
    from tokenizers import trainers

    texts = list(texts)
    letters, rare = _alphabet(texts, coverage)
    fixed = len(SPECIALS) + len(_BYTES) + len(_ESCAPED)
    if vocabulary < fixed + len(letters):
        raise ValueError(
            f"vocabulary {vocabulary} is too small: control tokens, bytes and letters need {fixed + len(letters)} ids"
        )
    learner: Any = Learner.from_str(json.dumps(_file([], [])))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - fixed,
        initial_alphabet=letters,
        limit_alphabet=len(letters),  # decided here: the library would choose among equally rare letters at random
        max_token_length=_LONGEST,
        show_progress=False,
    )
    # Rare letters are cut out before learning, or the library would take the letters around them for neighbours.
    cut = dict.fromkeys(map(ord, rare), "\n")
    with Console(stderr=True).status(f"Learning {vocabulary} tokens from {sum(map(len, texts)):,} characters"):
        learner.train_from_iterator((text.translate(cut) for text in texts), trainer)
    learned = json.loads(learner.to_str())["model"]
    merged = sorted(learned["vocab"], key=learned["vocab"].__getitem__)[len(letters) :]
    tokens = [*SPECIALS, *_BYTES, *letters, *_ESCAPED.values(), *merged]
    merges = [[_ESCAPE, escaped[1]] for escaped in _ESCAPED.values()] + learned["merges"]
    data = json.dumps(_file(tokens, merges)).encode()
    return Tokenizer(JsonFile(data, "the trained tokenizer"), {"chat_template": GEMMA_TEMPLATE})


def _alphabet(texts: list[str], coverage: float) -> tuple[list[str], set[str]]:
    """The letters that get an id, sorted, and those of the text that do not; ties go by code point."""
    if not 0 <= coverage <= 1:
        raise ValueError(f"coverage {coverage} must be a fraction of the characters, from 0 to 1")
    counts = Counter[str]()
    for text in texts:
        counts.update(text)
    if not counts:
        raise ValueError("cannot train a tokenizer on an empty corpus")
    chosen = set(_ALWAYS)
    seen = {letter: count for letter, count in counts.items() if letter not in (" ", *_ESCAPED)}
    missing = (1 - coverage) * sum(seen.values()) - sum(seen.values())
    missing += sum(count for letter, count in seen.items() if letter in chosen)
    for letter in sorted(seen.keys() - chosen, key=lambda letter: (-seen[letter], letter)):
        if missing >= 0:
            break
        chosen.add(letter)
        missing += seen[letter]
    return sorted(chosen), set(counts) - chosen - {" "} | set(_ESCAPED)


def _file(tokens: list[str], merges: list[Any]) -> dict[str, Any]:
    """The content of `tokenizer.json` for these tokens in the order of their ids."""
    ids = {token: i for i, token in enumerate(tokens)}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    bos = {"SpecialToken": {"id": "<bos>", "type_id": 0}}
    replace = [{"type": "Replace", "pattern": {"String": old}, "content": new} for old, new in _ESCAPED.items()]
    restore = [{"type": "Replace", "pattern": {"String": new}, "content": old} for old, new in _ESCAPED.items()]
    to_space = {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "}
    from_space = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": ids[token], "content": token, **plain} for token in SPECIALS if token in ids],
        "normalizer": {"type": "Sequence", "normalizers": [*replace, from_space]},
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": _WORDS}, "behavior": "Isolated", "invert": False},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}}, bos, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [ids.get("<bos>", 0)], "tokens": ["<bos>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}, to_space, *reversed(restore)],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": ids,
            "merges": merges,
        },
    }
