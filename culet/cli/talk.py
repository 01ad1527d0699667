"""`culet generate` and `culet chat`: text from a trained model."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from culet.cli.options import with_options
from culet.core.settings import Setting

if TYPE_CHECKING:
    from culet.lm import Piece

ModelArgument = Annotated[str, typer.Argument(help="A model folder or a Hub id.", show_default=False)]
Stop = Annotated[list[str] | None, typer.Option(help="End a completion at this text. May be given several times.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same samples; without effect at temperature 0.")]
Dtype = Annotated[
    str | None, typer.Option(help="Load the weights as bfloat16, float16 or float32. Default: as stored.")
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampler:
    """How tokens are chosen, and how many."""

    max_new_tokens: Annotated[int, Setting("Most tokens to write per completion.", min=1)] = 128
    temperature: Annotated[float, Setting("0 takes the likeliest token; 1 samples the model itself.", min=0)] = 0.0
    top_k: Annotated[int | None, Setting("Sample among the k likeliest tokens.", min=1)] = None
    top_p: Annotated[float | None, Setting("Sample among the fewest tokens whose probabilities add up to p.")] = None
    min_p: Annotated[
        float | None, Setting("Sample among tokens at least this fraction as likely as the likeliest.")
    ] = None
    repetition_penalty: Annotated[
        float | None, Setting("Above 1: tokens in the prompt or the completion become less likely.")
    ] = None


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("generate")(with_options(generate))
    app.command("chat")(with_options(chat))


def generate(
    model: ModelArgument,
    prompts: Annotated[list[str] | None, typer.Argument(help="One or more texts to continue.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help='Prompts from a file: .jsonl with a field "prompt" in each line, or .txt with one a line.'),
    ] = None,
    as_chat: Annotated[
        bool, typer.Option("--chat", help="Take each prompt as a user's message to a chat model.")
    ] = False,
    stop: Stop = None,
    seed: Seed = 0,
    dtype: Dtype = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON per completion, with tokens and log-probabilities.")
    ] = False,
    *,
    sampler: Sampler,
) -> None:
    """Continues texts. The completion of one prompt is printed as it comes; several prompts run as one batch.

    [dim]culet generate runs/quickstart/student "The os module" --temperature 0.8 --top-p 0.9[/]
    """
    texts = [*(prompts or []), *(_read_prompts(file) if file else [])]
    if not texts:
        raise ValueError("there is no prompt; give one or more texts, or --file")

    from culet.lm import generate as generate_completions
    from culet.lm import stream
    from culet.lm.tokenizers.chat_template import encode_many

    decoder, tokenizer = _load(model, dtype)
    inputs = encode_many([[{"role": "user", "content": text}] for text in texts], tokenizer) if as_chat else texts
    options: dict[str, Any] = {**vars(sampler), "stop": stop or (), "key": seed}
    if len(texts) == 1 and not as_json:
        _print_pieces(stream(decoder, tokenizer, inputs[0], **options))
        return
    for text, completion in zip(texts, generate_completions(decoder, tokenizer, inputs, **options), strict=True):
        if as_json:
            line = {"prompt": text, "text": completion.text, "tokens": completion.tokens}
            line |= {"logprobs": completion.log_probabilities, "finish": completion.finish}
            print(json.dumps(line, ensure_ascii=False))
        else:
            print(f"--- {text}\n{completion.text}")


def chat(
    model: ModelArgument,
    system: Annotated[str | None, typer.Option(help="Instructions to the model, before your first message.")] = None,
    seed: Seed = 0,
    dtype: Dtype = None,
    *,
    sampler: Sampler,
) -> None:
    """A conversation in the terminal. An empty line or Ctrl-D ends it; /new begins another.

    [dim]culet chat runs/quickstart/model[/]
    """
    import jax

    from culet.lm import stream_chat
    from culet.lm.tokenizers.chat_template import encode

    decoder, tokenizer = _load(model, dtype)
    opening = [{"role": "system", "content": system}] if system else []
    messages, turn = list(opening), 0
    interactive = sys.stdin.isatty()
    longest_prompt = decoder.config.context - sampler.max_new_tokens
    while line := _ask(interactive):
        if line == "/new":
            messages = list(opening)
            continue
        messages.append({"role": "user", "content": line})
        if len(messages) > len(opening) + 1 and len(encode(messages, tokenizer)) > longest_prompt:
            print("(the conversation no longer fits into the model's context; this begins a new one)", file=sys.stderr)
            messages = [*opening, messages[-1]]
        key = jax.random.fold_in(jax.random.key(seed), turn)
        answer = _print_pieces(stream_chat(decoder, tokenizer, messages, **vars(sampler), key=key))
        messages.append({"role": "assistant", "content": answer})
        turn += 1


def _print_pieces(pieces: "Iterator[Piece]") -> str:
    """Prints a completion as it comes, and returns its text."""
    text = ""
    for piece in pieces:
        print(piece.text, end="", flush=True)
        text += piece.text
    print()
    return text


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
