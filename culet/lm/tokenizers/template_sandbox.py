"""Renders a chat template that nobody vouches for; imports nothing of Culet. `chat_template` runs it as a child.

As a program it reads `{"template", "conversations", "bos", "generation"}` from its input and writes `{"texts"}` or
`{"problem"}`. Jinja's sandbox keeps a template from Python's internals; limits on the process's time and memory keep
it from looping or growing for ever, which no sandbox within a process can.
"""

import contextlib
import datetime
import json
import sys
from typing import Any

SECONDS = 5
MEMORY = 2**30
MOST_CHARACTERS = 4 * 2**20


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
