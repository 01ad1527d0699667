"""`culet generate`, `culet chat`: what a trained model has to say."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

ModelArgument = Annotated[str, typer.Argument(help="A model folder or a Hub id.", show_default=False)]
MaxNewTokens = Annotated[int, typer.Option(help="Most tokens to write per completion.", min=1)]
Temperature = Annotated[float, typer.Option(help="0 takes the likeliest token; 1 samples the model itself.", min=0)]
TopK = Annotated[int | None, typer.Option(help="Sample among the k likeliest tokens.", min=1)]
TopP = Annotated[float | None, typer.Option(help="Sample among the fewest tokens whose mass reaches p.")]
MinP = Annotated[float | None, typer.Option(help="Sample among tokens at least this fraction as likely as the best.")]
Penalty = Annotated[float | None, typer.Option(help="Above 1: tokens already seen become less likely.")]
Stop = Annotated[list[str] | None, typer.Option(help="End a completion at this text. May be given several times.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same samples.")]
Dtype = Annotated[str | None, typer.Option(help="bfloat16 or float32. Default: as stored.")]


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("generate")(generate)
    app.command("chat")(chat)


def generate(
    model: ModelArgument,
    prompts: Annotated[list[str] | None, typer.Argument(help="One or more texts to continue.")] = None,
    file: Annotated[
        Path | None, typer.Option(help='Prompts from a file: JSONL with a "prompt" field, or a text, one a line.')
    ] = None,
    as_chat: Annotated[bool, typer.Option("--chat", help="Put each prompt as a user's turn.")] = False,
    max_new_tokens: MaxNewTokens = 64,
    temperature: Temperature = 0.0,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: Penalty = None,
    stop: Stop = None,
    seed: Seed = 0,
    dtype: Dtype = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON per completion, with tokens.")] = False,
) -> None:
    """Continues texts. One prompt streams as it comes; several are written side by side in one batch.

    [dim]culet generate runs/quickstart/student "The os module" --temperature 0.8 --top-p 0.9[/]
    """
    texts = [*(prompts or []), *(_read_prompts(file) if file else [])]
    if not texts:
        raise ValueError("there is no prompt; give one or more texts, or --file")
    import jax

    from culet.lm import chat as chat_format
    from culet.lm import generate as complete
    from culet.lm import stream

    decoder, tokenizer = _load(model, dtype)
    turns = [chat_format.encode([{"role": "user", "content": text}], tokenizer) for text in texts] if as_chat else texts
    options: dict[str, Any] = dict(
        max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
        repetition_penalty=repetition_penalty, stop=stop or (), key=jax.random.key(seed),
    )  # fmt: skip
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
    max_new_tokens: MaxNewTokens = 256,
    temperature: Temperature = 0.0,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: Penalty = None,
    seed: Seed = 0,
    dtype: Dtype = None,
) -> None:
    """A conversation in the terminal. An empty line or Ctrl-D ends it; /new forgets what was said.

    [dim]culet chat runs/quickstart/student[/]
    """
    import jax

    from culet.lm import chat as chat_format
    from culet.lm import stream

    decoder, tokenizer = _load(model, dtype)
    opening = [{"role": "system", "content": system}] if system else []
    messages, turn = list(opening), 0
    interactive = sys.stdin.isatty()
    while line := _ask(interactive):
        if line == "/new":
            messages = list(opening)
            continue
        messages.append({"role": "user", "content": line})
        tokens = chat_format.encode(messages, tokenizer)
        room = decoder.config.context - max_new_tokens
        if len(tokens) > room and len(messages) > len(opening) + 1:
            print("(the conversation no longer fits the model's context; starting afresh)", file=sys.stderr)
            messages = [*opening, messages[-1]]
            tokens = chat_format.encode(messages, tokenizer)
        answer = ""
        for piece in stream(
            decoder, tokenizer, tokens, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k,
            top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty,
            key=jax.random.fold_in(jax.random.key(seed), turn),
        ):  # fmt: skip
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
