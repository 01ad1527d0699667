import pytest

from tests.mutation.mutate import mutants

SOURCE = '''
"""Adds 1 + 1."""


@decorated(1 - 2)
class Recipe:
    rate: float = 0.5


def loss(x: Float[Array, "T-1"], scale=2.0) -> "1 - 1":
    """Says 1 - 1."""
    if not x > 0:
        raise ValueError(f"{x - 1} is " + "bad")
    return -scale * kl(x, y) + 3
'''


def test_each_kind_of_change_is_made_once_and_nothing_else_is_touched():
    names = [mutant.name for mutant in mutants(SOURCE)]
    assert sorted(names) == sorted(
        [
            "loss: x > 0 -> x <= 0",
            "loss: 0 -> 1",
            "loss: -scale * kl(x, y) + 3 -> -scale * kl(x, y) - 3",
            "loss: -scale * kl(x, y) + 3 -> -scale * kl(x, y)",
            "loss: -scale * kl(x, y) -> -scale / kl(x, y)",
            "loss: -scale -> scale",
            "loss: kl(x, y) -> kl(y, x)",
            "loss: 3 -> 4",
        ]
    )


@pytest.mark.parametrize(("before", "after"), [("a - (b - c)", "a - (b + c)"), ("-(a + b) * é", "(a + b) * é")])
def test_what_is_put_in_means_what_it_says(before, after):
    values = {"a": 2.0, "b": 3.0, "c": 5.0, "é": 7.0}
    assert eval(after, values) in [eval(mutant.source, values) for mutant in mutants(before)]
