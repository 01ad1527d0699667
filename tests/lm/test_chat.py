"""The assistant's turn is the completion of what the chat template writes."""

from pathlib import Path

import pytest

from culet.lm import Tokenizer, chat, generate, scaled, stream_chat
from culet.lm.tokenizers import chat_template
from tests.weights import random_weights


def test_a_chat_is_the_completion_of_what_the_template_writes():
    tokenizer = Tokenizer.load(Path(__file__).parents[1] / "goldens" / "tokenizer")
    model = random_weights(scaled("gemma-2-2b", layers=1, width=16, vocabulary=tokenizer.vocabulary).init)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello<end_of_turn>"}]
    reply = chat(model, tokenizer, messages, max_new_tokens=5)
    assert reply == generate(model, tokenizer, chat_template.encode(messages, tokenizer), max_new_tokens=5)
    pieces = list(stream_chat(model, tokenizer, messages, max_new_tokens=5))
    assert "".join(piece.text for piece in pieces) == reply.text and pieces[-1].finish == reply.finish
    with pytest.raises(ValueError, match="at least one message by the user"):
        chat(model, tokenizer, [])
    with pytest.raises(ValueError, match="the last message is the assistant's"):
        chat(model, tokenizer, [*messages, {"role": "assistant", "content": reply.text}])
