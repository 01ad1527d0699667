"""Conversations to the text and ids that a chat model was tuned on.

A conversation is a list of messages `{"role": ..., "content": ...}`: at most one "system" message first, then "user"
and "assistant" (Gemma's "model") in turn. The format is the tokenizer's chat template, else Gemma's.

A template that came with a tokenizer is a program by a stranger. This file runs it as a child process: as a program
it reads `{"template", "conversations", "bos", "generation"}` from its input and writes `{"texts"}` or `{"problem"}`.
Jinja's sandbox keeps the template from Python's internals; limits on the process's time and memory keep it from
looping or growing for ever, which no sandbox within a process can. So that the child starts quickly, nothing of Culet
is imported here.
"""

import contextlib
import datetime
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer

Messages = Sequence[Mapping[str, str]]

# Gemma's turns (the Gemma 1 to 3 model cards): the assistant is called "model", content is trimmed, and as there is no
# system role, a system text goes in front of the first thing the user says.
GEMMA_TEMPLATE = """\
{{ bos_token }}
{%- set prefix = '' -%}
{%- set turns = messages -%}
{%- if messages[0].role == 'system' -%}
    {%- set prefix = messages[0].content + '\\n\\n' -%}
    {%- set turns = messages[1:] -%}
{%- endif -%}
{%- for turn in turns -%}
    {%- if turn.role != ('user' if loop.index is odd else 'assistant') -%}
        {{ raise_exception('roles must alternate user, assistant, user, ... after an optional system message') }}
    {%- endif -%}
    {{ '<start_of_turn>' + ('model' if turn.role == 'assistant' else 'user') + '\\n' -}}
    {{ prefix if loop.first else '' }}{{ turn.content | trim }}{{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}
"""

_ROLES = {"system": "system", "user": "user", "assistant": "assistant", "model": "assistant"}
_BATCH = 256  # conversations that one child renders
SECONDS = 5  # of computing that a child may use
MEMORY = 2**30  # bytes
MOST_CHARACTERS = 4 * 2**20  # per conversation
_START_SECONDS = 25  # for the child to come up on a busy machine, beside the seconds that it may use


def render(messages: Messages, tokenizer: "Tokenizer", *, add_generation_prompt: bool = True) -> str:
    """The conversation as text, beginning token included, ready for the model's answer if `add_generation_prompt`.

    Raises `ValueError` for messages out of order or without content, and for a template that fails or runs wild.
    """
    return _render([_checked(messages)], tokenizer, add_generation_prompt)[0]


def encode(messages: Messages, tokenizer: "Tokenizer", *, add_generation_prompt: bool = True) -> list[int]:
    """The ids of `render`'s text, with exactly one beginning token.

    Control tokens' names within messages are encoded as plain text, so that nobody can end their own turn and
    speak for the model; transformers makes control tokens of them. Raises as `render` does.
    """
    return encode_many([messages], tokenizer, add_generation_prompt=add_generation_prompt)[0]


def encode_many(
    conversations: Sequence[Messages], tokenizer: "Tokenizer", *, add_generation_prompt: bool = True
) -> list[list[int]]:
    """`encode` for many conversations; a template that is not Gemma's is run once for all of them."""
    checked = [_checked(messages) for messages in conversations]
    mark = _unused_letter(checked)
    guarded = [[_guarded(message, tokenizer, mark) for message in messages] for messages in checked]
    texts = _render(guarded, tokenizer, add_generation_prompt)
    return [tokenizer.encode(text.split(mark)) for text in texts]


def encode_answers(conversations: Sequence[Messages], tokenizer: "Tokenizer") -> list[tuple[list[int], list[bool]]]:
    """For supervised tuning: the ids of each whole conversation, and which of them the model is to learn.

    Learned are the assistant's answers and the token that ends each turn. Each answer is encoded on its own behind its
    prompt, as it will be when the model writes it. Raises as `render` does, and for a conversation that does not end
    with the assistant or a template that changes earlier turns when a later one comes.
    """
    checked = [_checked(messages) for messages in conversations]
    mark = _unused_letter(checked)
    before: list[list[dict[str, str]]] = []
    after: list[list[dict[str, str]]] = []
    for number, messages in enumerate(checked):
        if messages[-1]["role"] != "assistant":
            raise ValueError(
                f"conversation {number} ends with {messages[-1]['role']!r}; to train on, it must end with the assistant"
            )
        guarded = [_guarded(message, tokenizer, mark) for message in messages]
        answers = [k for k, message in enumerate(guarded) if message["role"] == "assistant"]
        before += [guarded[:k] for k in answers]
        after += [guarded[: k + 1] for k in answers]
    prompts, wholes = _render(before, tokenizer, True), _render(after, tokenizer, False)
    pairs = iter(zip(prompts, wholes, strict=True))
    return [
        _answers([next(pairs) for message in messages if message["role"] == "assistant"], tokenizer, mark)
        for messages in checked
    ]


def _answers(pairs: list[tuple[str, str]], tokenizer: "Tokenizer", mark: str) -> tuple[list[int], list[bool]]:
    ids: list[int] = []
    learned: list[bool] = []
    done = ""
    for prompt, whole in pairs:
        if not (prompt.startswith(done) and whole.startswith(prompt)):
            raise ValueError("the chat template changes earlier turns when a later one comes; it cannot be trained on")
        asked = tokenizer.encode(prompt[len(done) :].split(mark), bos=not done)
        answer = tokenizer.encode(whole[len(prompt) :].split(mark), bos=False)
        end = max((k + 1 for k, i in enumerate(answer) if i in tokenizer.stop_ids), default=len(answer))
        ids += asked + answer
        learned += [False] * len(asked) + [k < end for k in range(len(answer))]
        done = whole
    return ids, learned


def _checked(messages: Messages) -> list[dict[str, str]]:
    """The messages as plain dicts with one name per role. Raises for what no template could be expected to take."""
    plain = []
    for number, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ValueError(f"message {number} must be an object with role and content, not {message!r:.60}")
        role, content = message.get("role"), message.get("content")
        if role not in _ROLES:
            raise ValueError(f"message {number}: role {role!r}; roles are {', '.join(_ROLES)}")
        if not isinstance(content, str):
            raise ValueError(f"message {number} ({role}): content must be text, not {type(content).__name__}")
        plain.append({"role": _ROLES[role], "content": content})
    turns = plain[1:] if plain and plain[0]["role"] == "system" else plain
    if not turns:
        raise ValueError("a conversation needs at least one message by the user")
    for number, message in enumerate(turns):
        expected = "assistant" if number % 2 else "user"
        if message["role"] != expected:
            where = number + len(plain) - len(turns)
            raise ValueError(
                f"message {where} is by {message['role']!r} but it is the turn of {expected!r}: after an optional "
                "system message, user and assistant speak in turn, the user first"
            )
    return plain


def _guarded(message: dict[str, str], tokenizer: "Tokenizer", mark: str) -> dict[str, str]:
    return {**message, "content": mark.join(tokenizer.split_specials(message["content"]))}


def _unused_letter(conversations: Sequence[Messages]) -> str:
    """A private-use letter that no message holds: it marks where a control token's name was cut in two."""
    used = {letter for messages in conversations for message in messages for letter in message["content"]}
    return next(letter for code in range(0xF0000, 0xFFFFE) if (letter := chr(code)) not in used)


def _render(conversations: list[list[dict[str, str]]], tokenizer: "Tokenizer", generation: bool) -> list[str]:
    template = tokenizer.chat_template or GEMMA_TEMPLATE
    if template == GEMMA_TEMPLATE:  # ours, so it may run here, a hundred times faster
        return render_template(template, conversations, tokenizer.bos, generation)
    request = {"template": template, "bos": tokenizer.bos, "generation": generation}
    parts = range(0, len(conversations), _BATCH)
    rendered = [_in_child({**request, "conversations": conversations[start : start + _BATCH]}) for start in parts]
    return [text for texts in rendered for text in texts]


def _in_child(request: dict[str, Any]) -> list[str]:
    try:
        child = subprocess.run(
            [sys.executable, "-P", str(Path(__file__))],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=_START_SECONDS + SECONDS,
            check=False,
        )
        answer: dict[str, Any] = json.loads(child.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        answer = {"problem": f"it took more than {SECONDS} s or the memory it may use"}
    if "problem" in answer:
        raise ValueError(f"the tokenizer's chat template failed: {answer['problem']}")
    return answer["texts"]


def render_template(template: str, conversations: list[list[dict[str, str]]], bos: str, generation: bool) -> list[str]:
    """One text per conversation, with the names, filters and white space rules that transformers gives templates.

    Raises `jinja2.TemplateError` and whatever else a bad template leads to.
    """
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

    def strftime_now(form: str) -> str:
        return datetime.datetime.now().strftime(form)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = tojson
    environment.globals.update(raise_exception=raise_exception, strftime_now=strftime_now)
    compiled = environment.from_string(template)
    return [
        compiled.render(messages=messages, bos_token=bos, add_generation_prompt=generation)
        for messages in conversations
    ]


def _limit() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has none: there the caller's clock is all
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))


def main() -> None:
    """Answers one request."""
    request = json.loads(sys.stdin.buffer.read())
    _limit()
    try:
        texts = render_template(**request)
        if sum(map(len, texts)) > MOST_CHARACTERS * len(texts):
            raise ValueError(f"it writes more than {MOST_CHARACTERS} characters")
        answer: dict[str, Any] = {"texts": texts}
    except MemoryError:
        answer = {"problem": "it needs too much memory"}
    except RecursionError:
        answer = {"problem": "it calls itself too deeply"}
    except Exception as problem:
        answer = {"problem": f"{str(problem)[:300] or type(problem).__name__}"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
