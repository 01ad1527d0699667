"""Text from text: the contract of `generate`, and that what streams is what is returned."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from culet.lm import generate, stream, stream_batch
from tests.lm.small import Letters, small

MODEL, WORDS = small("gemma-2-2b"), Letters()
PROMPTS = ["a", "abcabc", "ccb"]
NEW = 24


def complete(prompts=PROMPTS, model=MODEL, words=WORDS, **options):
    return generate(model, words, prompts, **{"max_new_tokens": NEW, **options})


@pytest.fixture(scope="module")
def free():
    return complete(stop_ids=[])


def test_completions_carry_text_tokens_and_the_models_log_probabilities(free):
    for prompt, found in zip(PROMPTS, free, strict=True):
        assert found.text == WORDS.decode(found.tokens)
        assert found.finish == "length" and len(found.tokens) == len(found.logprobs) == NEW
        ids = [*WORDS.encode(prompt), *found.tokens]
        own = jax.nn.log_softmax(MODEL(jnp.array(ids[:-1])))[-NEW:]
        np.testing.assert_allclose(found.logprobs, own[jnp.arange(NEW), jnp.array(found.tokens)], atol=2e-4)
        assert np.asarray(own.argmax(-1)).tolist() == found.tokens


def test_a_prompt_of_ids_is_taken_as_it_is(free):
    assert complete([WORDS.encode(prompt) for prompt in PROMPTS], stop_ids=[]) == free


def test_stop_ids_end_a_row_and_are_not_part_of_it(free):
    stop = free[0].tokens[5]
    found = complete(stop_ids=[stop])
    for whole, part in zip(free, found, strict=True):
        length = whole.tokens.index(stop) if stop in whole.tokens else NEW
        assert part.tokens == whole.tokens[:length] and part.logprobs == pytest.approx(whole.logprobs[:length])
        assert part.finish == ("stop" if stop in whole.tokens else "length")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text("abc é", min_size=1, max_size=4), min_size=1, max_size=3))
def test_stop_strings_cut_and_streams_join_to_the_same(stop):
    options = {"stop": stop, "stop_ids": [], "max_new_tokens": NEW}
    found, whole = (
        generate(MODEL, WORDS, PROMPTS, **options),
        generate(MODEL, WORDS, PROMPTS, **{**options, "stop": ()}),
    )
    joined = [""] * len(PROMPTS)
    for piece in stream_batch(MODEL, WORDS, PROMPTS, **options):
        joined[piece.row] += piece.text
    assert joined == [row.text for row in found]
    for row, free_row in zip(found, whole, strict=True):
        assert not any(string in row.text for string in stop)
        assert free_row.text.startswith(row.text)
        assert (row.finish == "stop") == any(string in free_row.text for string in stop)
        assert row.tokens == free_row.tokens[: len(row.tokens)] and len(row.logprobs) == len(row.tokens)
        assert WORDS.decode(row.tokens).startswith(row.text)  # the last token may hold the beginning of the stop string
        if row.finish == "stop" and row.tokens:
            assert len(WORDS.decode(row.tokens[:-1]).rstrip("\ufffd")) < len(row.text)


def test_a_stream_of_one_prompt_comes_in_pieces(free):
    pieces = list(stream(MODEL, WORDS, PROMPTS[1], max_new_tokens=NEW, stop_ids=[]))
    assert "".join(pieces) == free[1].text and len(pieces) > 4


def test_the_same_key_gives_the_same_completion_and_each_row_has_its_own():
    def sample(prompts, key):
        return [row.tokens for row in complete(prompts, key=key, temperature=1.0, top_p=0.9, min_p=0.01, stop_ids=[])]

    keys = jax.random.split(jax.random.key(4), 3)
    first = sample(["a"] * 3, keys)
    assert first == sample(["a"] * 3, keys)
    assert len(set(map(tuple, first))) == 3
    assert sample(["a"] * 3, keys[::-1]) == first[::-1]
    assert sample(["a"] * 3, keys[0]) != first and len(set(map(tuple, sample(["a"] * 3, keys[0])))) == 3


def test_rows_of_the_embedding_without_a_token_are_never_written():
    padded = Letters(vocabulary=8)  # of 40 rows
    assert max(max(row.tokens) for row in complete(words=padded, stop_ids=[])) < 8


BAD = [
    ({"prompts": []}, "there are no prompts"),
    ({"prompts": "abc"}, "one string; give a list"),
    ({"prompts": ["a", ""]}, "prompt 1 is empty"),
    ({"prompts": [[2, 40]]}, "token 40, outside the vocabulary of 40"),
    ({"prompts": [[-3, 5]]}, "token -3, outside the vocabulary of 40"),
    ({"prompts": ["a" * 120]}, "121 tokens and 24 are to follow, but the model's context is 128"),
    ({"max_new_tokens": 0}, "max_new_tokens is 0"),
    ({"stop": [""]}, "a stop string is empty"),
    ({"stop": "abc"}, "stop is one string"),
    ({"top_p": 2.0}, "top_p is 2.0"),
    ({"key": jax.random.split(jax.random.key(0), 2)}, "3 prompts but 2 keys"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_clear_error(options, message):
    with pytest.raises(ValueError, match=message):
        complete(**{"prompts": PROMPTS, **options})


def test_weights_that_are_not_finite_are_found(free):
    broken = eqx.tree_at(lambda model: model.final_norm.scale, MODEL, jnp.full(32, jnp.nan))
    with pytest.raises(ValueError, match="prompt 0 are not finite at token 0; check the weights"):
        complete(model=broken, stop_ids=[])
    with pytest.raises(ValueError, match="not finite"):
        list(stream_batch(broken, WORDS, PROMPTS, max_new_tokens=NEW, stop_ids=[0]))


def test_a_model_without_global_attention_has_no_longest_prompt():
    found = complete(["abc" * 50], model=small("griffin-100m"), max_new_tokens=2, stop_ids=[])
    assert len(found[0].tokens) == 2
