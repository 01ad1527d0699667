"""Our tokenizer folders in transformers, and theirs in ours. Run by `make parity`."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from culet.lm.tokenizers import chat_template
from culet.lm.tokenizers.tokenizer import SentencePieceFile, Tokenizer
from culet.lm.tokenizers.training import train_tokenizer
from culet.quickstart.corpus import documents

pytestmark = pytest.mark.parity

CONVERSATION = [
    {"role": "system", "content": "Be  brief."},
    {"role": "user", "content": " What does `str.split` do?\n"},
    {"role": "assistant", "content": "It splits — 漢 😀."},
    {"role": "user", "content": "  And\n\n`join`? "},
]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [document.text for document in documents()[:120]]


@pytest.fixture(scope="module")
def ours(texts) -> Tokenizer:
    return train_tokenizer(texts, 1024)


@pytest.fixture(scope="module")
def theirs(ours, tmp_path_factory) -> Any:
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("ours")
    ours.save(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma2"}))  # as it will stand beside a model
    return transformers.AutoTokenizer.from_pretrained(folder)


def test_the_same_ids_and_one_beginning_token(ours, theirs, texts):
    for text in texts[:20]:
        ids = theirs(text)["input_ids"]
        assert ours.encode(text) == ids and ids.count(ours.bos_id) == 1
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True) == text
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (ours.bos_id, ours.eos_id, ours.pad_id)
    assert len(theirs) == ours.vocabulary


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_the_same_ids_on_any_text(ours, theirs, text):
    assert ours.encode(text, bos=False) == theirs(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("turns", [2, 3, 4])
@pytest.mark.parametrize("generation", [False, True])
def test_the_same_chats(ours, theirs, turns, generation):
    text = theirs.apply_chat_template(CONVERSATION[:turns], tokenize=False, add_generation_prompt=generation)
    ids = theirs.apply_chat_template(CONVERSATION[:turns], add_generation_prompt=generation)["input_ids"]
    assert chat_template.render(CONVERSATION[:turns], ours, add_generation_prompt=generation) == text
    assert chat_template.encode(CONVERSATION[:turns], ours, add_generation_prompt=generation) == ids


def test_a_gemma_tokenizer_that_transformers_wrote(ours, texts, tmp_path):
    from transformers import GemmaTokenizer

    model = json.loads(ours._backend.serialise())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    gemma: Any = GemmaTokenizer(vocab={**model["vocab"], "<mask>": 1024}, merges=merges)  # type: ignore[arg-type]
    gemma.save_pretrained(tmp_path)
    read = Tokenizer.load(tmp_path)
    for text in (*texts[:20], "<bos>one", "é 漢 <start_of_turn>"):
        ids = gemma(text, add_special_tokens=False)["input_ids"]
        assert read.encode(text, bos=False) == ids
        assert read.decode(ids) == gemma.decode(ids, skip_special_tokens=True)


def test_a_sentencepiece_model_loads_there_too(texts, tmp_path):
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter("".join(texts).split("\n")),
        model_writer=model,
        model_type="bpe",
        vocab_size=1000,
        byte_fallback=True,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        user_defined_symbols=["<mask>", "<start_of_turn>", "<end_of_turn>", "\n"],
        minloglevel=2,
    )
    from transformers import AutoTokenizer

    tokenizer = Tokenizer(SentencePieceFile(model.getvalue(), "model"))
    tokenizer.save(tmp_path)
    Path(tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma2"}))
    theirs: Any = AutoTokenizer.from_pretrained(tmp_path)
    for text in texts[:20]:
        assert tokenizer.encode(text) == theirs(text)["input_ids"]
