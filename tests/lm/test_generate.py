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

MODEL, TOKENIZER = small("gemma-2-2b"), Letters()
PROMPTS = ["a", "abcabc", "ccb"]
NEW = 24


def complete(prompts=PROMPTS, model=MODEL, tokenizer=TOKENIZER, **options):
    return generate(model, tokenizer, prompts, **{"max_new_tokens": NEW, **options})


def assert_pieces_make(pieces, completion):
    """The pieces of a stream are the completion: its text, its tokens, and how it ended, said once."""
    written = [piece for piece in pieces if piece.token is not None]
    assert "".join(piece.text for piece in pieces) == completion.text
    assert [piece.token for piece in written] == completion.tokens
    assert [piece.log_probability for piece in written] == pytest.approx(completion.log_probabilities, abs=1e-5)
    assert [piece.finish for piece in pieces] == [None] * (len(pieces) - 1) + [completion.finish]


@pytest.fixture(scope="module")
def free():
    return complete(stop_ids=[])


def test_completions_carry_text_tokens_and_the_models_log_probabilities(free):
    for prompt, completion in zip(PROMPTS, free, strict=True):
        assert completion.text == TOKENIZER.decode(completion.tokens)
        assert completion.finish == "length" and len(completion.tokens) == len(completion.log_probabilities) == NEW
        ids = [*TOKENIZER.encode(prompt), *completion.tokens]
        own = jax.nn.log_softmax(MODEL(jnp.array(ids[:-1])))[-NEW:]
        np.testing.assert_allclose(
            completion.log_probabilities, own[jnp.arange(NEW), jnp.array(completion.tokens)], atol=2e-4
        )
        assert np.asarray(own.argmax(-1)).tolist() == completion.tokens


def test_a_prompt_of_ids_is_taken_as_it_is(free):
    assert complete([TOKENIZER.encode(prompt) for prompt in PROMPTS], stop_ids=[]) == free


def test_stop_ids_end_a_row_and_are_not_part_of_it(free):
    stop = free[0].tokens[5]
    parts = complete(stop_ids=[stop])
    for whole, part in zip(free, parts, strict=True):
        length = whole.tokens.index(stop) if stop in whole.tokens else NEW
        assert part.tokens == whole.tokens[:length] and part.log_probabilities == pytest.approx(
            whole.log_probabilities[:length]
        )
        assert part.finish == ("stop" if stop in whole.tokens else "length")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text("abc é", min_size=1, max_size=4), min_size=1, max_size=3))
def test_stop_strings_cut_and_streams_join_to_the_same(stop):
    options = {"stop": stop, "stop_ids": [], "max_new_tokens": NEW}
    completions, whole = (
        generate(MODEL, TOKENIZER, PROMPTS, **options),
        generate(MODEL, TOKENIZER, PROMPTS, **{**options, "stop": ()}),
    )
    pieces = list(stream_batch(MODEL, TOKENIZER, PROMPTS, **options))
    for number, completion in enumerate(completions):
        assert_pieces_make([piece for piece in pieces if piece.prompt == number], completion)
    for row, free_row in zip(completions, whole, strict=True):
        assert not any(string in row.text for string in stop)
        assert free_row.text.startswith(row.text)
        assert (row.finish == "stop") == any(string in free_row.text for string in stop)
        assert row.tokens == free_row.tokens[: len(row.tokens)] and len(row.log_probabilities) == len(row.tokens)
        assert TOKENIZER.decode(row.tokens).startswith(
            row.text
        )  # the last token may hold the beginning of the stop string
        if row.finish == "stop" and row.tokens:
            assert len(TOKENIZER.decode(row.tokens[:-1]).rstrip("\ufffd")) < len(row.text)


def test_a_stream_is_a_piece_for_each_token(free):
    pieces = list(stream(MODEL, TOKENIZER, PROMPTS[1], max_new_tokens=NEW, stop_ids=[]))
    assert_pieces_make(pieces, free[1])
    assert len(pieces) == NEW
    for count in range(1, NEW):  # as much text as the tokens so far hold, but for a character that lacks bytes
        text, whole = "".join(piece.text for piece in pieces[:count]), TOKENIZER.decode(free[1].tokens[:count])
        assert whole.startswith(text) and whole[len(text) :] in ("", "\ufffd")


def test_a_stream_that_a_stop_token_ends_says_so_in_a_piece_without_a_token(free):
    stop = free[0].tokens[5]
    *_, last = pieces = list(stream(MODEL, TOKENIZER, PROMPTS[0], max_new_tokens=NEW, stop_ids=[stop]))
    assert_pieces_make(pieces, complete(PROMPTS[0], stop_ids=[stop]))
    assert (last.token, last.log_probability, last.finish) == (None, None, "stop")


def test_one_prompt_gives_one_completion_and_a_list_a_list(free):
    alone = complete("a", stop_ids=[])
    assert alone.tokens == free[0].tokens and [alone] == complete(["a"], stop_ids=[])
    ids = TOKENIZER.encode("a")
    for prompt in (ids, tuple(ids), np.array(ids)):
        assert complete(prompt, stop_ids=[]) == alone
    assert complete([np.array(ids)], stop_ids=[]) == [alone]


def test_the_same_key_gives_the_same_completion_and_each_row_has_its_own():
    def sample(prompts, key):
        return [row.tokens for row in complete(prompts, key=key, temperature=1.0, top_p=0.9, min_p=0.01, stop_ids=[])]

    keys = jax.random.split(jax.random.key(4), 3)
    first = sample(["a"] * 3, keys)
    assert first == sample(["a"] * 3, keys)
    assert len(set(map(tuple, first))) == 3
    assert sample(["a"] * 3, keys[::-1]) == first[::-1]
    assert sample(["a"] * 3, keys[0]) != first and len(set(map(tuple, sample(["a"] * 3, keys[0])))) == 3
    assert sample(["a"] * 3, 4) == sample(["a"] * 3, jax.random.key(4))
    assert sample(["a"], 4) == sample(["a"] * 2, 4)[:1]  # a prompt's own key depends on its number alone


def test_rows_of_the_embedding_without_a_token_are_never_written():
    padded = Letters(vocabulary=8)  # of 40 rows
    assert max(max(row.tokens) for row in complete(tokenizer=padded, stop_ids=[])) < 8


BAD = [
    ({"prompts": []}, "there are no prompts"),
    ({"prompts": ""}, "prompt 0 is empty"),
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
        list(stream_batch(broken, TOKENIZER, PROMPTS, max_new_tokens=NEW, stop_ids=[0]))


def test_a_model_without_global_attention_has_no_longest_prompt():
    [completion] = complete(["abc" * 50], model=small("griffin-100m"), max_new_tokens=2, stop_ids=[])
    assert len(completion.tokens) == 2


def test_a_batch_of_streams_takes_a_list():
    with pytest.raises(ValueError, match="one string; give a list of prompts, or use stream"):
        list(stream_batch(MODEL, TOKENIZER, "abc"))
