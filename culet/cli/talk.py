"""`culet generate`, `culet chat`: what a trained model has to say."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from culet.cli.options import with_options
from culet.core.settings import Setting

ModelArgument = Annotated[str, typer.Argument(help="A model folder or a Hub id.", show_default=False)]
Stop = Annotated[list[str] | None, typer.Option(help="End a completion at this text. May be given several times.")]
Dtype = Annotated[str | None, typer.Option(help="bfloat16 or float32. Default: as stored.")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """How tokens are chosen, and how many."""

    max_new_tokens: Annotated[int, Setting("Most tokens to write per completion.", min=1)] = 128
    temperature: Annotated[float, Setting("0 takes the likeliest token; 1 samples the model itself.", min=0)] = 0.0
    top_k: Annotated[int | None, Setting("Sample among the k likeliest tokens.", min=1)] = None
    top_p: Annotated[float | None, Setting("Sample among the fewest tokens whose mass reaches p.")] = None
    min_p: Annotated[float | None, Setting("Sample among tokens at least this fraction as likely as the best.")] = None
    repetition_penalty: Annotated[float | None, Setting("Above 1: tokens already seen become less likely.")] = None


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("generate")(with_options(generate))
    app.command("chat")(with_options(chat))


def generate(
    model: ModelArgument,
    prompts: Annotated[list[str] | None, typer.Argument(help="One or more texts to continue.")] = None,
    file: Annotated[
        Path | None, typer.Option(help='Prompts from a file: JSONL with a "prompt" field, or a text, one a line.')
    ] = None,
    as_chat: Annotated[bool, typer.Option("--chat", help="Put each prompt as a user's turn.")] = False,
    stop: Stop = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same samples.")] = 0,
    dtype: Dtype = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON per completion, with tokens.")] = False,
    *,
    choice: Choice,
) -> None:
    """Continues texts. One prompt streams as it comes; several are written side by side in one batch.

    [dim]culet generate runs/quickstart/student "The os module" --temperature 0.8 --top-p 0.9[/]
    """
    texts = [*(prompts or []), *(_read_prompts(file) if file else [])]
    if not texts:
        raise ValueError("there is no prompt; give one or more texts, or --file")
    import jax

    from culet.lm import generate as complete
    from culet.lm import stream
    from culet.lm.tokenizers import chat_template

    decoder, tokenizer = _load(model, dtype)
    turns = (
        [chat_template.encode([{"role": "user", "content": text}], tokenizer) for text in texts] if as_chat else texts
    )
    options: dict[str, Any] = {**vars(choice), "stop": stop or (), "key": jax.random.key(seed)}
    if len(texts) == 1 and not as_json:
        for piece in stream(decoder, tokenizer, turns[0], **options):
            print(piece, end="", flush=True)
        print()
        return
    for text, completion in zip(texts, complete(decoder, tokenizer, turns, **options), strict=True):
        if as_json:
            print(json.dumps({"prompt": text, **completion._asdict()}, ensure_ascii=False))
        else:
            print(f"--- {text}\n{completion.text}")


def chat(
    model: ModelArgument,
    system: Annotated[str | None, typer.Option(help="Put before the first thing you say.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same samples.")] = 0,
    dtype: Dtype = None,
    *,
    choice: Choice,
) -> None:
    """A conversation in the terminal. An empty line or Ctrl-D ends it; /new forgets what was said.

    [dim]culet chat runs/quickstart/student[/]
    """
    import jax

    from culet.lm import stream
    from culet.lm.tokenizers import chat_template

    decoder, tokenizer = _load(model, dtype)
    opening = [{"role": "system", "content": system}] if system else []
    messages, turn = list(opening), 0
    interactive = sys.stdin.isatty()
    while line := _ask(interactive):
        if line == "/new":
            messages = list(opening)
            continue
        messages.append({"role": "user", "content": line})
        tokens = chat_template.encode(messages, tokenizer)
        room = decoder.config.context - choice.max_new_tokens
        if len(tokens) > room and len(messages) > len(opening) + 1:
            print("(the conversation no longer fits the model's context; starting afresh)", file=sys.stderr)
            messages = [*opening, messages[-1]]
            tokens = chat_template.encode(messages, tokenizer)
        answer = ""
        for piece in stream(
            decoder, tokenizer, tokens, **vars(choice), key=jax.random.fold_in(jax.random.key(seed), turn)
        ):
            print(piece, end="", flush=True)
            answer += piece
        print()
        messages.append({"role": "assistant", "content": answer})
        turn += 1


def _ask(interactive: bool) -> str:
    try:
        return input("> " if interactive else "").strip()
    except EOFError:
        return ""


def _load(model: str, dtype: str | None):
    from rich.console import Console

    from culet.lm import load

    with Console(stderr=True).status(f"loading {model}"):
        return load(model, dtype=dtype)


def _read_prompts(file: Path) -> list[str]:
    from culet.lm.text_files import read_prompts

    return read_prompts(file)
