"""Completions as answers, against a loop that reads the whole text again for each token."""

import jax
import jax.numpy as jnp
import numpy as np

from culet.align import completions
from tests.align.tiny import TEXTS, WORDS, policy, prompts


def greedy(model, text, new_tokens):
    """The likeliest token after another, and whether the end came."""
    ids = WORDS.encode(text)
    start = len(ids)
    for _ in range(new_tokens):
        padded = jnp.array([*ids, *[0] * (16 - len(ids))])  # what stands behind cannot be seen
        ids.append(int(np.argmax(model(padded)[len(ids) - 1])))
        if ids[-1] == WORDS.eos_id:
            return ids[start:], True
    return ids[start:], False


def test_answers_come_prompt_by_prompt_and_nearly_cold_ones_are_the_likeliest():
    model, asked, numbers = policy(), prompts(), np.array([2, 0, 3])
    found = completions(model, asked, numbers, 2, 5, jax.random.key(0), temperature=1e-4)
    assert [answer.prompt for answer in found] == [TEXTS[number] for number in (2, 2, 0, 0, 3, 3)]
    for answer in found:
        ids, ended = greedy(model, answer.prompt, 5)
        assert (answer.tokens, answer.finished) == (len(ids), ended)
        assert answer.text == WORDS.decode(ids[: len(ids) - ended])
