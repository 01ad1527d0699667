"""`culet tokenizer`, `culet train`, `culet distil`, `culet eval`: from texts to models."""

from pathlib import Path
from typing import Annotated

import typer

from culet.cli.options import with_options
from culet.lm.recipe import Recipe

Texts = Annotated[
    list[Path],
    typer.Argument(
        help='Files or folders of them: .txt, or .jsonl with a field "text" in each line; may be gzipped.',
        show_default=False,
    ),
]
Out = Annotated[
    Path, typer.Option(help="Folder for checkpoints and log and, in the end, the model.", show_default=False)
]
Length = Annotated[
    int, typer.Option(help="Tokens per row of a batch. Texts are packed into rows; longer ones are cut.", min=8)
]
Preset = Annotated[
    str | None, typer.Option(help="Begin with random weights, in this published shape (culet inspect lists them).")
]
Scaled = Annotated[
    str | None, typer.Option(help="Sizes to change in the preset: layers=4,width=128,heads=4,vocabulary=4096,...")
]
TokenizerFolder = Annotated[
    Path | None,
    typer.Option("--tokenizer", help="Folder of a tokenizer. Default: the model's own, or one learned from the texts."),
]
HeldOut = Annotated[
    list[Path] | None,
    typer.Option(help="Texts to evaluate on every --evaluate-every steps; not trained on. May be given several times."),
]


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("tokenizer")(tokenizer)
    app.command("train")(with_options(train))
    app.command("distil")(with_options(distil))
    app.command("eval")(evaluate)


def tokenizer(
    texts: Texts,
    out: Annotated[Path, typer.Option(help="Folder for the tokenizer.", show_default=False)],
    vocabulary: Annotated[int, typer.Option(help="How many tokens.", min=300)] = 8192,
) -> None:
    """Learns a tokenizer from texts: byte-pair merges with byte fallback, and Gemma's control tokens.

    [dim]culet tokenizer books/ --vocabulary 8192 --out runs/tokenizer[/]
    """
    from culet.lm import train_tokenizer
    from culet.lm.text_files import read_documents

    learned = train_tokenizer((document.text for document in read_documents(texts)), vocabulary)
    learned.save(out)
    print(f"{out}: {learned.vocabulary} tokens")


def train(
    texts: Texts,
    out: Out,
    model: Annotated[str | None, typer.Option(help="Begin with this model: a folder or Hub id.")] = None,
    preset: Preset = None,
    scaled: Scaled = None,
    tokenizer: TokenizerFolder = None,
    conversations: Annotated[
        bool,
        typer.Option(
            "--chat",
            help='Train on the answers in conversations: .jsonl with "messages", or "prompt" and "completion".',
        ),
    ] = False,
    preferences: Annotated[
        bool,
        typer.Option(
            "--preferences",
            help='Train a reward model: .jsonl with "prompt", "chosen" and "rejected", which must fit into --length.',
        ),
    ] = False,
    entailment: Annotated[
        bool,
        typer.Option(
            "--entailment",
            help='Train a model of entailment: .jsonl with "premise", "hypothesis" and "label", fitting into --length.',
        ),
    ] = False,
    lora_rank: Annotated[
        int | None, typer.Option(help="Train low-rank adapters (LoRA) of this rank, not the weights.", min=1)
    ] = None,
    lora_alpha: Annotated[float, typer.Option(help="The adapters' update is scaled by alpha / rank.")] = 16.0,
    held_out: HeldOut = None,
    length: Length = 256,
    *,
    recipe: Recipe,
) -> None:
    """Trains a model on texts, or with --chat on the answers in conversations.

    Say where to begin: --model, to train one further, or --preset, for a new one. The result is a model folder in
    --out, for culet chat, culet generate and transformers. A run that was stopped continues when the same command is
    given again.

    With --preferences it trains a model that scores answers, as a reward for culet align; pairs may also be "first",
    "second" and "label", the probability from 0 to 1 that the first is better. With --entailment it trains one that
    says whether a text supports a statement.

    [dim]culet train books/ --preset gemma-2-2b --scaled layers=4,width=128,vocabulary=4096 --out runs/small[/]
    [dim]culet train chats.jsonl --chat --model runs/small --lora-rank 8 --out runs/tuned[/]
    [dim]culet train pairs.jsonl --preferences --model runs/tuned --held-out other.jsonl --out runs/reward[/]
    """
    from culet.cli.judges import corpus_of_examples, train_judge
    from culet.cli.runs import corpus_of, new_or_loaded, read_rows, save
    from culet.lm import LoRA
    from culet.lm import train as train_model

    if conversations + preferences + entailment > 1:
        raise ValueError("give only one of --chat, --preferences and --entailment; each is another kind of training")
    judged = "reward" if preferences else "entailment" if entailment else None
    corpus = corpus_of_examples(judged, texts) if judged else corpus_of(texts, conversations)
    decoder, text_tokenizer = new_or_loaded(model, preset, scaled, tokenizer, corpus, recipe.seed, out)
    lora = None if lora_rank is None else LoRA(rank=lora_rank, alpha=lora_alpha)
    if judged:
        train_judge(judged, decoder, lora, text_tokenizer, texts, held_out, length, recipe, out)
        return
    rows = read_rows(texts, text_tokenizer, length, conversations)
    held_rows = read_rows(held_out, text_tokenizer, length, conversations) if held_out else None
    save(
        out,
        train_model(decoder, rows, recipe, lora=lora, held_out=held_rows, folder=out, name=out.name),
        text_tokenizer,
    )


def distil(
    teacher: Annotated[str, typer.Argument(help="Folder or Hub id of the teacher.", show_default=False)],
    texts: Texts,
    out: Out,
    model: Annotated[str | None, typer.Option(help="The student begins with this model: a folder or Hub id.")] = None,
    preset: Preset = None,
    scaled: Scaled = None,
    temperature: Annotated[
        float, typer.Option(help="Of both softmaxes; above 1, unlikely tokens count for more.", min=1e-3)
    ] = 1.0,
    fraction: Annotated[
        float,
        typer.Option(
            "--fraction", "--share", help="Of the loss that is distillation; the rest is next-token loss.", min=0, max=1
        ),
    ] = 1.0,
    held_out: HeldOut = None,
    length: Length = 256,
    *,
    recipe: Recipe,
) -> None:
    """Trains a student to predict what its teacher predicts: the whole distribution at each place of the texts.

    Say where the student begins: --model or --preset. It gets the teacher's tokenizer. A run that was stopped continues
    when the same command is given again.

    [dim]culet distil runs/teacher books/ --preset gemma-2-2b --scaled layers=2,width=64 --out runs/student[/]
    """
    from culet.cli.runs import new_or_loaded, read_rows, save
    from culet.lm import distil as distil_model
    from culet.lm import load

    teacher_model, tokenizer = load(teacher)
    student, _ = new_or_loaded(model, preset, scaled, tokenizer, (), recipe.seed, out)
    student = distil_model(
        student, teacher_model, read_rows(texts, tokenizer, length, False), recipe, temperature=temperature,
        fraction=fraction, held_out=read_rows(held_out, tokenizer, length, False) if held_out else None, folder=out,
        name=out.name,
    )  # fmt: skip
    save(out, student, tokenizer)


def evaluate(
    model: Annotated[str, typer.Argument(help="A model folder or a Hub id.", show_default=False)],
    texts: Texts,
    length: Length = 256,
    batch_size: Annotated[int, typer.Option(help="Rows computed at a time.", min=1)] = 16,
    conversations: Annotated[bool, typer.Option("--chat", help="Score only the answers in conversations.")] = False,
) -> None:
    """How well a model predicts texts: loss in nats per token, perplexity, and bits per byte, as one line of JSON.

    Bits per byte compares models of different tokenizers; loss and perplexity do not.

    [dim]culet eval runs/small held_out.txt[/]
    """
    import json
    import math

    from culet.cli.runs import read_rows, text_bytes
    from culet.lm import evaluate as evaluate_model
    from culet.lm import load

    decoder, tokenizer = load(model)
    scores = evaluate_model(decoder, read_rows(texts, tokenizer, length, conversations), batch_size)
    if not conversations:
        scores["bits_per_byte"] = scores["loss"] * scores["tokens"] / math.log(2) / text_bytes(texts)
    print(json.dumps(scores))
