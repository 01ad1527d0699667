"""How alike texts are: ROUGE-1 and ROUGE-L against references (Lin 2004), Self-BLEU among themselves (Zhu 2018).

Words are runs of letters and digits in lower case, as they stand: nothing is stemmed or left out.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from culet.align.rewards.overlap import words

ORDERS = 4  # Self-BLEU is of single words up to four in a row


def rouge_1(text: str, references: Sequence[str]) -> float:
    """F1 of the words that a text shares with a reference, as often as both have them; the most over references.

    Between 0 and 1; an empty text has 0. Raises ValueError for no reference.
    """
    return _best(text, references, _shared)


def rouge_l(text: str, references: Sequence[str]) -> float:
    """The same of the longest common subsequence of words: they count where both have them in one order."""
    return _best(text, references, _in_order)


def _best(text: str, references: Sequence[str], overlap: Callable[[list[str], list[str]], int]) -> float:
    if not references:
        raise ValueError("a text is to be compared with references, and there are none")
    said = words(text)
    scores = []
    for other in map(words, references):
        # The harmonic mean of overlap / len(said) and overlap / len(other).
        scores.append(2 * overlap(said, other) / max(len(said) + len(other), 1))
    return max(scores)


def _shared(said: list[str], other: list[str]) -> int:
    return (Counter(said) & Counter(other)).total()


def _in_order(said: list[str], other: list[str]) -> int:
    """The length of the longest common subsequence, row by row of the usual table."""
    row = [0] * (len(other) + 1)
    for word in said:
        above = row
        row = [0]
        for place, another in enumerate(other):
            row.append(above[place] + 1 if word == another else max(above[place + 1], row[place]))
    return row[-1]


def self_bleu(texts: Sequence[str]) -> float:
    """How like the others each of several texts is, by BLEU with the others as its references; the mean over texts.

    BLEU is of one to four words in a row, in equal parts, with its brevity penalty (Papineni 2002); counts of two and
    more in a row have 1 added, matches and possible ones (Lin and Och 2004), and those longer than the text are left
    out. 1 for equal texts, 0 for texts that share no word; an empty text has 0. Raises ValueError for fewer than two.
    """
    if len(texts) < 2:
        raise ValueError("a text is to be compared with the others, and there are none")
    counted = [_grams(words(text)) for text in texts]
    scores = [_bleu(each, counted[:number] + counted[number + 1 :]) for number, each in enumerate(counted)]
    return sum(scores) / len(scores)


def _bleu(text: list[Counter], references: list[list[Counter]]) -> float:
    length = text[0].total()
    logs = []
    for order, grams in enumerate(text[:length]):
        most = Counter()
        for reference in references:
            most |= reference[order]
        matches, added = (grams & most).total(), order > 0
        if not matches + added:
            return 0.0
        logs.append(math.log((matches + added) / (grams.total() + added)))
    if not logs:
        return 0.0
    lengths = (reference[0].total() for reference in references)
    nearest = min(lengths, key=lambda other: (abs(other - length), other))
    return math.exp(min(0.0, 1 - nearest / length) + sum(logs) / len(logs))


def _grams(words: list[str]) -> list[Counter]:
    """How often each run of one, two, three and four words stands in a text."""
    orders = range(1, ORDERS + 1)
    return [Counter(zip(*(words[first:] for first in range(order)), strict=False)) for order in orders]
