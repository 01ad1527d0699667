"""Changed captions: one word of the same kind, none that anybody said."""

import gzip
from collections import Counter

import numpy as np
import pytest

from culet.align.rewards import caption_statements, statements_about, swapped
from culet.align.rewards.captions import KINDS

ALIKE = Counter({word: 7 for groups in KINDS.values() for group in groups for word in group})
RANDOM = np.random.default_rng(0)
TEXT = "Two dogs and a man in a red jacket run."


def words(text):
    return text.lower().replace(".", "").split()


def test_one_word_changes_to_another_of_its_kind():
    seen = set()
    for _ in range(200):
        changed = swapped(TEXT, "A boy near three cats and a blue car.", ALIKE, RANDOM)
        assert changed is not None
        pairs = [(a, b) for a, b in zip(words(TEXT), words(changed), strict=True) if a != b]
        (old, new), *rest = pairs
        assert not rest
        kind = next(kind for kind, groups in KINDS.items() if any(old in group and new in group for group in groups))
        seen.add((kind, old, new))
        assert new not in {"three", "blue", "cats", "boy"}  # said by others
        assert changed[0].isupper()
    assert {kind for kind, _, _ in seen} == set(KINDS)
    assert {old for _, old, _ in seen} == {"two", "dogs", "man", "red", "jacket"}


def test_a_word_that_others_may_have_meant_is_no_change():
    for _ in range(50):
        changed = swapped("A man.", "A boy stands here.", ALIKE, RANDOM)
        assert changed in ("A woman.", "A girl.", "A baby.")
        assert "boy" not in str(swapped("A man.", "A man.", ALIKE, RANDOM))


def test_only_the_kinds_asked_for():
    assert all(words(str(swapped(TEXT, "", ALIKE, RANDOM, ["number"])))[1:] == words(TEXT)[1:] for _ in range(20))
    assert swapped("Nothing to see here.", "", ALIKE, RANDOM) is None
    assert swapped(TEXT, "", ALIKE, RANDOM, []) is None


def test_changed_captions_hold_each_word_as_often_as_true_ones():
    """From captions with colours by their counts come captions with the same counts, those not changed among them."""
    counts = Counter(red=60, blue=25, black=10, pink=5)
    true = [word for word, count in counts.items() for _ in range(40 * count)]
    found: Counter[str] = Counter()
    for word in true:
        found[words(swapped(f"A {word} hat.", "", counts, RANDOM, ["colour"]) or f"A {word} hat.")[1]] += 1
    for word, count in counts.items():
        assert found[word] == pytest.approx(40 * count, abs=4 * (40 * count) ** 0.5)
    assert set(found) == set(counts)  # and none that nobody says


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "multi30k-captions"
    folder.mkdir()
    for n in range(5):
        lines = [f"A {'red' if image % 2 else 'blue'} thing {image} as seen by {n}." for image in range(10)]
        (folder / f"val.{n + 1}.en.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    monkeypatch.setenv("CULET_DATA", str(tmp_path))


def test_captions_become_statements_in_equal_number(data):
    statements = caption_statements("val")
    assert [statement.label for statement in statements] == [1.0, 0.0] * 10
    for true, false in zip(statements[::2], statements[1::2], strict=True):
        image = true.hypothesis.split()[3]
        assert true.premise == false.premise and true.premise.count(f"thing {image} ") == 4
        assert true.hypothesis not in true.premise and false.hypothesis != true.hypothesis
    false = statements[1::2]
    changed = [each.hypothesis.split()[3] == each.premise.split()[3] for each in false]  # else another image's
    assert 0 < sum(changed) < 10
    colour = {each.hypothesis.split()[3]: each.hypothesis.split()[1] for each in statements[::2]}
    assert [each.hypothesis.split()[1] != colour[each.hypothesis.split()[3]] for each in false] == changed
    assert {statement.hypothesis[-2] for statement in statements[::2]} == set("01234")


def test_the_seed_says_which(data):
    assert caption_statements("val", seed=3) == caption_statements("val", seed=3) != caption_statements("val", seed=4)
    assert len(caption_statements("val", images=4)) == 8
    for images in (1, 11):
        with pytest.raises(ValueError, match="of 10 images; from 2 to so many"):
            caption_statements("val", images=images)


def test_statements_about_images_of_ones_own():
    own = [(f"a {colour} thing", f"one {colour} thing", f"it is {colour}") for colour in ("red", "blue", "green")]
    statements = statements_about(own)
    assert [statement.label for statement in statements] == [1.0, 0.0] * 3
    assert [statement.hypothesis for statement in statements[::2]] == [own[number][number] for number in range(3)]
    assert statements[2].premise == "a blue thing it is blue" and "blue" not in statements[3].hypothesis
    for wrong in (own[:1], [own[0], own[1][:2]], [("a",), ("b",)]):
        with pytest.raises(ValueError, match="two images or more, each with as many captions"):
            statements_about(wrong)
