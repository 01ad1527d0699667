import io
import json
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from culet.lm.tokenizers.files import JsonFile, SentencePieceFile
from culet.lm.tokenizers.tokenizer import StreamDecoder, Tokenizer

GOLDENS = Path(__file__).parents[2] / "goldens"
JSON = json.loads((GOLDENS / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
TEXT = (GOLDENS / "record_chat.py").read_text(encoding="utf-8")


def sentencepiece_model(**options) -> bytes:
    """A small model with the settings of Gemma's."""
    model = io.BytesIO()
    gemma = {
        "model_type": "bpe",
        "vocab_size": 400,
        "byte_fallback": True,
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "normalization_rule_name": "identity",
        "pad_id": 0,
        "eos_id": 1,
        "bos_id": 2,
        "unk_id": 3,
        "pad_piece": "<pad>",
        "eos_piece": "<eos>",
        "bos_piece": "<bos>",
        "user_defined_symbols": ["<start_of_turn>", "<end_of_turn>", "\n"],
        "minloglevel": 2,
    }
    lines = iter(TEXT.split("\n"))
    sentencepiece.SentencePieceTrainer.Train(sentence_iterator=lines, model_writer=model, **{**gemma, **options})
    return model.getvalue()


MODEL = sentencepiece_model()
TOKENIZER = Tokenizer(SentencePieceFile(MODEL, "model"))
LIBRARY = sentencepiece.SentencePieceProcessor(model_proto=MODEL)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁\0")))
def test_sentencepiece_ids_are_the_library_s_and_text_comes_back(text):
    assume(not any(name in text for name in TOKENIZER.specials))
    ids = TOKENIZER.encode(text, bos=False)
    assert ids == LIBRARY.EncodeAsIds(text)
    assert TOKENIZER.decode(ids) == LIBRARY.DecodeIds(ids) == text


def test_sentencepiece_control_tokens_within_text():
    ids = TOKENIZER.encode("<bos><start_of_turn>a<end_of_turn><eos>", eos=True)
    turns = [LIBRARY.PieceToId(name) for name in ("<start_of_turn>", "<end_of_turn>")]
    assert ids == [2, turns[0], *LIBRARY.EncodeAsIds("a"), turns[1], 1]
    assert TOKENIZER.stop_ids == (1, turns[1])
    assert not set(TOKENIZER.encode("<eos><end_of_turn>", bos=False, special=False)) & {1, 2, *turns}
    assert TOKENIZER.decode([2, 1], skip_special=False) == "<bos><eos>"


@settings(deadline=None)
@given(st.lists(st.integers(0, 399)))
def test_sentencepiece_streams_what_it_decodes(ids):
    stream = StreamDecoder(TOKENIZER)
    assert "".join([*map(stream.push, ids), stream.finish()]) == TOKENIZER.decode(ids)


def test_sentencepiece_is_saved_and_loaded(tmp_path):
    TOKENIZER.save(tmp_path)
    assert (tmp_path / "tokenizer.model").read_bytes() == MODEL
    again = Tokenizer.load(tmp_path)
    assert again.encode("def main") == TOKENIZER.encode("def main")
    assert Tokenizer.load(tmp_path / "tokenizer.model").vocabulary == 400


@pytest.mark.parametrize("data", [b"", b"\0" * 64, MODEL[: len(MODEL) // 2], b"not a model at all"])
def test_a_broken_sentencepiece_model_is_named(tmp_path, data):
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(ValueError, match="not a SentencePiece model") as problem:
        Tokenizer.load(tmp_path)
    assert str(tmp_path) in str(problem.value)


@settings(deadline=None)
@example([(20, 1)])
@given(st.lists(st.tuples(st.integers(0, len(MODEL) - 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_a_damaged_sentencepiece_model_gives_one_clear_error_or_a_tokenizer(changes):
    damaged = bytearray(MODEL)
    for place, value in changes:
        damaged[place] = value
    try:
        tokenizer = Tokenizer(SentencePieceFile(bytes(damaged), "the file"), name="the file")
    except ValueError as problem:
        assert str(problem).startswith("the file: ")
    else:
        assert isinstance(tokenizer.decode(tokenizer.encode("a <bos> text")), str)


def test_a_sentencepiece_model_of_another_family_is_refused():
    with pytest.raises(ValueError, match="puts a space in front"):
        SentencePieceFile(sentencepiece_model(add_dummy_prefix=True), "model")


def test_truncation_and_padding_asked_for_by_the_file_are_not_done():
    padding = {"strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": None}
    padding |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}
    truncation = {"max_length": 3, "strategy": "LongestFirst", "direction": "Right", "stride": 0}
    data = json.dumps({**JSON, "truncation": truncation, "padding": padding}).encode()
    plain = JsonFile(json.dumps(JSON).encode(), "plain")
    for text in ("a", "a long text of many words"):
        assert JsonFile(data, "padded").encode(text) == plain.encode(text)


def _values(tree: object) -> list[tuple]:
    """The paths to all values of a JSON tree but the vocabulary's entries, of which one stands for all."""
    if isinstance(tree, dict):
        items = list(tree.items())[:20]
    elif isinstance(tree, list):
        items = list(enumerate(tree))[:3]
    else:
        return [()]
    return [(), *((key, *rest) for key, inner in items for rest in _values(inner))]


@settings(deadline=None)
@given(
    st.sampled_from(_values(JSON)[1:]), st.sampled_from([None, -1, 2**63, 1.5, "", "x", [], [[]], {}, {"type": "x"}])
)
def test_a_damaged_tokenizer_json_gives_one_clear_error_or_a_tokenizer(path, value):
    damaged = json.loads(json.dumps(JSON))
    inner = damaged
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    try:
        tokenizer = Tokenizer(JsonFile(json.dumps(damaged).encode(), "the file"), name="the file")
    except ValueError as problem:
        assert str(problem).startswith("the file: ") and len(str(problem)) < 300
    else:
        assert all(0 <= i < tokenizer.vocabulary for i in tokenizer.encode("a text"))


def test_a_prefix_within_words_is_refused_before_the_library_aborts_over_it():
    """As the test above found: the process ended."""
    damaged = {**JSON, "model": {**JSON["model"], "continuing_subword_prefix": "x"}}
    with pytest.raises(ValueError, match="the file: a continuing_subword_prefix is not supported"):
        JsonFile(json.dumps(damaged).encode(), "the file")


def test_names_that_overlap_are_both_kept_from_being_control_tokens():
    plain = JSON["added_tokens"][0]
    first = len(JSON["model"]["vocab"])
    extra = [{**plain, "id": first + k, "content": name} for k, name in enumerate(("ab!", "!cd"))]
    data = json.dumps({**JSON, "added_tokens": [*JSON["added_tokens"], *extra]}).encode()
    tokenizer = Tokenizer(JsonFile(data, "overlapping"))
    assert tokenizer.encode("ab!cd", bos=False)[0] == extra[0]["id"]
    ids = tokenizer.encode("ab!cd", bos=False, special=False)
    assert not {token["id"] for token in extra} & set(ids) and tokenizer.decode(ids) == "ab!cd"
