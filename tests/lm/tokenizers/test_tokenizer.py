import io
import json
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from culet.lm.tokenizers.tokenizer import JsonFile, SentencePieceFile, StreamDecoder, Tokenizer

GOLDENS = Path(__file__).parents[2] / "goldens"
SAMPLES = json.loads((GOLDENS / "chat.json").read_text(encoding="utf-8"))["samples"]
TOKENIZER = Tokenizer.load(GOLDENS / "tokenizer")
JSON = json.loads((GOLDENS / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
TEXT = (GOLDENS / "record_chat.py").read_text(encoding="utf-8")
UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
SPICED = st.lists(st.one_of(UNICODE, st.sampled_from(["<bos>", "<end_of_turn>", "▁", "\x10", "\x100", " ", "<0x41>"])))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: repr(sample["text"]))
def test_ids_and_text_are_those_of_transformers(sample):
    assert TOKENIZER.encode(sample["text"]) == sample["ids"]
    assert TOKENIZER.decode(sample["ids"]) == sample["decoded"]


def test_reads_its_roles_from_the_files():
    assert (TOKENIZER.bos_id, TOKENIZER.eos_id, TOKENIZER.pad_id, TOKENIZER.bos) == (2, 1, 0, "<bos>")
    assert TOKENIZER.stop_ids == (1, 5)
    assert TOKENIZER.specials["<start_of_turn>"] == 4
    assert TOKENIZER.vocabulary == len(
        json.loads((GOLDENS / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
    )


@pytest.mark.parametrize("text", ["Hello", "<bos>Hello", "<bos><bos>Hello", "", "<bos>"])
def test_there_is_exactly_one_beginning_token(text):
    ids = TOKENIZER.encode(text)
    assert ids[0] == 2 and ids.count(2) == 1
    assert ids[1:] == TOKENIZER.encode(text.replace("<bos>", ""), bos=False)


def test_the_end_token_is_put_once_and_only_on_demand():
    assert TOKENIZER.encode("a")[-1] != 1
    assert TOKENIZER.encode("a", eos=True) == TOKENIZER.encode("a<eos>", eos=True) == [*TOKENIZER.encode("a"), 1]
    assert TOKENIZER.encode("", bos=False) == []


@settings(deadline=None)
@given(SPICED.map("".join))
@example("<<bos>bos>")
def test_text_that_is_not_ours_makes_no_control_tokens_and_comes_back_whole(text):
    ids = TOKENIZER.encode(text, bos=False, special=False)
    assert not set(ids) & set(TOKENIZER.specials.values())
    assert TOKENIZER.decode(ids) == text


@settings(deadline=None)
@given(st.lists(st.integers(0, TOKENIZER.vocabulary - 1)))
@example([6 + byte for byte in "漢😀".encode()[:-1]] + [300])
def test_streamed_pieces_join_to_the_decoded_text_and_none_is_broken(ids):
    for skip_special in (True, False):
        stream = StreamDecoder(TOKENIZER, skip_special=skip_special)
        pieces = [stream.push(i) for i in ids]
        assert "".join([*pieces, stream.finish()]) == TOKENIZER.decode(ids, skip_special=skip_special)


@settings(deadline=None)
@given(UNICODE)
def test_a_whole_text_streams_without_replacement_characters(text):
    stream = StreamDecoder(TOKENIZER)
    pieces = [stream.push(i) for i in TOKENIZER.encode(text, special=False)]
    assert "".join(pieces) == text and stream.finish() == ""


def test_a_character_in_four_bytes_appears_with_the_last():
    stream = StreamDecoder(TOKENIZER)
    assert [stream.push(6 + byte) for byte in "😀".encode()] == ["", "", "", "😀"]


def test_control_tokens_are_shown_on_demand():
    assert TOKENIZER.decode([2, 4, 5, 1], skip_special=False) == "<bos><start_of_turn><end_of_turn><eos>"
    assert TOKENIZER.decode([2, 4, 5, 1]) == ""


@pytest.mark.parametrize("token", [-1, TOKENIZER.vocabulary])
def test_an_id_out_of_range_is_named(token):
    with pytest.raises(ValueError, match=rf"{token} is outside .* {TOKENIZER.vocabulary}"):
        TOKENIZER.decode([token])


def test_a_lone_surrogate_is_refused_with_its_place():
    with pytest.raises(ValueError, match="lone surrogate at character 2"):
        TOKENIZER.encode("ab\ud800")


def test_saved_again_the_files_are_the_same(tmp_path):
    TOKENIZER.save(tmp_path)
    for file in (GOLDENS / "tokenizer").iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()
    assert Tokenizer.load(tmp_path / "tokenizer.json").chat_template == TOKENIZER.chat_template


def _copy(folder: Path, **settings) -> Path:
    TOKENIZER.save(folder)
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_settings_may_be_missing_or_in_older_forms(tmp_path):
    TOKENIZER.save(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    assert Tokenizer.load(tmp_path).bos_id == 2 and Tokenizer.load(tmp_path).chat_template is None
    entry = {"bos_token": {"content": "<unk>"}, "chat_template": [{"name": "default", "template": "x"}]}
    assert Tokenizer.load(_copy(tmp_path, **entry)).bos_id == 3
    assert Tokenizer.load(tmp_path).chat_template == "x"
    (tmp_path / "chat_template.jinja").write_text("y")
    assert Tokenizer.load(tmp_path).chat_template == "y"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", b"{", "not valid JSON"),
        ("tokenizer.json", b"\xff", "not valid JSON"),
        ("tokenizer.json", b"[]", "decoder None is not supported"),
        ("tokenizer.json", b'{"decoder": {"type": "Fuse"}}', "not a tokenizer"),
        ("tokenizer.json", b'{"decoder": {"type": "ByteLevel"}}', "decoder ByteLevel is not supported"),
        ("tokenizer_config.json", b"{", "not valid JSON"),
        ("tokenizer_config.json", b"[]", "one JSON object"),
        ("tokenizer_config.json", b'{"bos_token": "<s>"}', "no token '<s>'"),
        ("tokenizer_config.json", b'{"chat_template": 3}', "chat_template"),
        ("chat_template.jinja", b"\xff", "not UTF-8"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, message):
    TOKENIZER.save(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as problem:
        Tokenizer.load(tmp_path)
    assert str(tmp_path) in str(problem.value)


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json or tokenizer\.model") as problem:
        Tokenizer.load(tmp_path)
    assert str(tmp_path) in str(problem.value)
    with pytest.raises(FileNotFoundError):
        Tokenizer.load(tmp_path / "absent.json")


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
SENTENCEPIECE = Tokenizer(SentencePieceFile(MODEL, "model"))
LIBRARY = sentencepiece.SentencePieceProcessor(model_proto=MODEL)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁\0")))
def test_sentencepiece_ids_are_the_library_s_and_text_comes_back(text):
    assume(not any(name in text for name in SENTENCEPIECE.specials))
    ids = SENTENCEPIECE.encode(text, bos=False)
    assert ids == LIBRARY.EncodeAsIds(text)
    assert SENTENCEPIECE.decode(ids) == LIBRARY.DecodeIds(ids) == text


def test_sentencepiece_control_tokens_within_text():
    ids = SENTENCEPIECE.encode("<bos><start_of_turn>a<end_of_turn><eos>", eos=True)
    turns = [LIBRARY.PieceToId(name) for name in ("<start_of_turn>", "<end_of_turn>")]
    assert ids == [2, turns[0], *LIBRARY.EncodeAsIds("a"), turns[1], 1]
    assert SENTENCEPIECE.stop_ids == (1, turns[1])
    assert not set(SENTENCEPIECE.encode("<eos><end_of_turn>", bos=False, special=False)) & {1, 2, *turns}
    assert SENTENCEPIECE.decode([2, 1], skip_special=False) == "<bos><eos>"


@settings(deadline=None)
@given(st.lists(st.integers(0, 399)))
def test_sentencepiece_streams_what_it_decodes(ids):
    stream = StreamDecoder(SENTENCEPIECE)
    assert "".join([*map(stream.push, ids), stream.finish()]) == SENTENCEPIECE.decode(ids)


def test_sentencepiece_is_saved_and_loaded(tmp_path):
    SENTENCEPIECE.save(tmp_path)
    assert (tmp_path / "tokenizer.model").read_bytes() == MODEL
    again = Tokenizer.load(tmp_path)
    assert again.encode("def main") == SENTENCEPIECE.encode("def main")
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
