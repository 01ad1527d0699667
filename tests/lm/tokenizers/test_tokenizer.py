import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from culet.lm.tokenizers.tokenizer import StreamDecoder, Tokenizer

GOLDENS = Path(__file__).parents[2] / "goldens"
SAMPLES = json.loads((GOLDENS / "chat.json").read_text(encoding="utf-8"))["samples"]
TOKENIZER = Tokenizer.load(GOLDENS / "tokenizer")
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
