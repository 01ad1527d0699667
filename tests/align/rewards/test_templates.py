import pytest

from culet.align.rewards.templates import PAIR_TEMPLATE, SCORE_TEMPLATE, checked_template

PLACES = ("prompt", "first")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{prompt} {first} {third}", r"has a place \{third\}; its places are \{prompt\}, \{first\}"),
        ("{prompt}", r"has no \{first\}"),
        ("{prompt} {first", "cannot be read .* write braces of its own twice"),
        ("{prompt} {first} {}", r"has a place \{\}"),
        ("{prompt.__class__} {first}", r"has a place \{prompt.__class__\}"),
        ("{prompt!r} {first}", r"formats \{prompt\}; write the name alone"),
        ("{prompt:>9} {first}", r"formats \{prompt\}; write the name alone"),
    ],
)
def test_a_bad_template_is_one_clear_error(template, said):
    with pytest.raises(ValueError, match=said):
        checked_template(template, PLACES)


def test_good_templates_stay_as_they_are():
    assert checked_template("{{json}} {first} {prompt}", PLACES) == "{{json}} {first} {prompt}"
    checked_template(PAIR_TEMPLATE, ("instruction", "prompt", "first", "second"))
    checked_template(SCORE_TEMPLATE, ("instruction", "prompt", "answer"))
