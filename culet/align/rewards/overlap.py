"""What a summary shares with its source and with a reference, in words: no model is asked.

Precision says whether it made things up, coverage whether it left things out, ROUGE how near it comes to what somebody
else wrote. None is enough alone: who says a single word makes little up.
"""

import re
from collections import Counter
from collections.abc import Sequence

_FUNCTION_WORDS = (
    "a about after all am an and another any are around as at be been before behind being both but by can could did do "
    "does down during each for from had has have having he her hers him his how i in into is it its many may me more "
    "most my near next no not of off on onto or other our out over own s she so some such t than that the their them "
    "then there these they this those through to too toward towards under until up upon very was we were what when "
    "where which while who whose why will with would you your"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
_WORD = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    """Its words and numbers in lower case."""
    return _WORD.findall(text.lower())


def content_words(text: str) -> list[str]:
    """Its words without those that only hold others together."""
    return [word for word in words(text) if word not in FUNCTION_WORDS]


def stem(word: str) -> str:
    """The word less a plural or verbal ending of which 3 letters are left: "dogs" is "dog", "running" is "run"."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
    return word


def word_precision(text: str, sources: Sequence[str]) -> float:
    """The fraction of the text's content words whose stems occur in any of the sources; 0 for a text without."""
    known = {stem(word) for source in sources for word in words(source)}
    said = [stem(word) in known for word in content_words(text)]
    return sum(said) / len(said) if said else 0.0


def coverage(text: str, sources: Sequence[str]) -> float:
    """The fraction of what at least two of the sources say, content words stem by stem, that the text says too.

    1 where no two sources share a content word.
    """
    counts = Counter(name for source in sources for name in {stem(word) for word in content_words(source)})
    shared = {name for name, count in counts.items() if count > 1}
    return len(shared & {stem(word) for word in words(text)}) / len(shared) if shared else 1.0
