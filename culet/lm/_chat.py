"""The assistant's next turn in a conversation."""

from collections.abc import Iterator
from typing import Any

from culet.lm._generate import Completion, Piece, generate, stream
from culet.lm.decoder import Decoder
from culet.lm.tokenizers.chat_template import Messages, encode
from culet.lm.tokenizers.tokenizer import Tokenizer


def chat(model: Decoder, tokenizer: Tokenizer, messages: Messages, **options: Any) -> Completion:
    """The assistant's reply to a conversation, whose text is the `content` of its message.

    `messages` are as OpenAI's: `[{"role": "user", "content": "Hello"}, ...]`, where an optional "system" message comes
    first, then "user" and "assistant" in turn, a user's last. The chat template is the tokenizer's, else Gemma's; names
    of control tokens in a message are encoded as plain text. Options and errors are those of `culet.lm.generate`;
    raises ValueError also for messages out of order and for a template that fails.
    """
    return generate(model, tokenizer, encode(_answerable(messages), tokenizer), **options)


def stream_chat(model: Decoder, tokenizer: Tokenizer, messages: Messages, **options: Any) -> Iterator[Piece]:
    """As `chat`, a piece for each token as it comes (see `culet.lm.stream`)."""
    yield from stream(model, tokenizer, encode(_answerable(messages), tokenizer), **options)


def _answerable(messages: Messages) -> Messages:
    if isinstance(messages, str):
        raise ValueError('messages is one string; give a list such as [{"role": "user", "content": "Hello"}]')
    if messages and isinstance(messages[-1], dict) and messages[-1].get("role") in ("assistant", "model"):
        raise ValueError("the last message is the assistant's; chat answers a user, so end with a user's message")
    return messages
