"""`culet tokenizer`, `culet train`, `culet distil`, `culet eval`: from texts to models."""

from pathlib import Path
from typing import Annotated

import typer

from culet.cli.options import with_options
from culet.lm.recipe import Recipe

Texts = Annotated[
    list[Path],
    typer.Argument(help='Files or folders: .txt, or .jsonl with "text"; gzipped too.', show_default=False),
]
Out = Annotated[Path, typer.Option(help="Folder for the run and, in the end, the model.", show_default=False)]
Length = Annotated[int, typer.Option(help="Tokens per row; longer texts are cut.", min=8)]
Preset = Annotated[str | None, typer.Option(help="A new model of this published shape; culet inspect lists them.")]
Scaled = Annotated[str | None, typer.Option(help="Shrink the preset: layers=4,width=128,heads=4,vocabulary=4096,...")]
Tokenizer = Annotated[Path | None, typer.Option(help="Folder of a tokenizer. Default: the model's, else a new one.")]


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("tokenizer")(tokenizer)
    app.command("train")(with_options(train))
    app.command("distil")(with_options(distil))
    app.command("eval")(evaluate)


def tokenizer(
    texts: Texts,
    out: Out,
    vocabulary: Annotated[int, typer.Option(help="How many tokens.", min=300)] = 8192,
) -> None:
    """Trains a tokenizer (byte-level fallback, Gemma's control tokens) on texts.

    [dim]culet tokenizer books/ --vocabulary 8192 --out runs/tokenizer[/]
    """
    from culet.lm.text_files import read_documents
    from culet.lm.tokenizers.training import train_tokenizer

    made = train_tokenizer((document.text for document in read_documents(texts)), vocabulary)
    made.save(out)
    print(f"{out}: {made.vocabulary} tokens")


def train(
    texts: Texts,
    out: Out,
    model: Annotated[str | None, typer.Option(help="Go on from this folder or Hub id.")] = None,
    preset: Preset = None,
    scaled: Scaled = None,
    tokenizer: Tokenizer = None,
    conversations: Annotated[
        bool, typer.Option("--chat", help='Learn answers only: .jsonl with "messages", or "prompt" and "completion".')
    ] = False,
    preferences: Annotated[
        bool,
        typer.Option(
            "--preferences", help='Learn a reward model: .jsonl with "prompt", "chosen" and "rejected"; nothing is cut.'
        ),
    ] = False,
    entailment: Annotated[
        bool,
        typer.Option(
            "--entailment", help='Learn what follows: .jsonl with "premise", "hypothesis" and "label"; nothing is cut.'
        ),
    ] = False,
    lora_rank: Annotated[int | None, typer.Option(help="Train low-rank adapters only.", min=1)] = None,
    lora_alpha: Annotated[float, typer.Option(help="Their scale is alpha / rank.")] = 16.0,
    held_out: Annotated[list[Path] | None, typer.Option(help="Texts to evaluate on as the run goes.")] = None,
    length: Length = 256,
    *,
    recipe: Recipe,
) -> None:
    """Trains a model on texts, or on conversations with --chat. Stopped, the same command goes on where it was.

    With --preferences it learns to tell the better of two answers, as a reward for culet align; pairs may also be
    "first", "second" and a "label" from 0 to 1, the probability that the first is better. With --entailment it learns
    what follows from a text.

    [dim]culet train books/ --preset gemma-2-2b --scaled layers=4,width=128,vocabulary=4096 --out runs/small[/]
    [dim]culet train chats.jsonl --chat --model runs/small --out runs/tuned[/]
    [dim]culet train pairs.jsonl --preferences --model runs/tuned --held-out other.jsonl --out runs/reward[/]
    """
    from culet.cli.judges import corpus_of_examples, train_judge
    from culet.cli.runs import corpus_of, lora, new_or_loaded, save, tokenised
    from culet.lm._train import train as run

    if conversations + preferences + entailment > 1:
        raise ValueError("say one of --chat, --preferences and --entailment: they are different things to learn")
    judged = "reward" if preferences else "entailment" if entailment else None
    corpus = corpus_of_examples(judged, texts) if judged else corpus_of(texts, conversations)
    decoder, words = new_or_loaded(model, preset, scaled, tokenizer, corpus, recipe.seed, out)
    decoder, trainable = lora(decoder, lora_rank, lora_alpha, recipe.seed)
    if judged:
        train_judge(judged, decoder, trainable, words, texts, held_out, length, recipe, out)
        return
    rows = tokenised(texts, words, length, conversations)
    held_rows = tokenised(held_out, words, length, conversations) if held_out else None
    trained = run(decoder, rows, recipe, trainable=trainable, held_out=held_rows, folder=out, name=out.name)
    save(out, trained, words)


def distil(
    teacher: Annotated[str, typer.Argument(help="Folder or Hub id of the teacher.", show_default=False)],
    texts: Texts,
    out: Out,
    model: Annotated[str | None, typer.Option(help="The student: go on from this folder or Hub id.")] = None,
    preset: Preset = None,
    scaled: Scaled = None,
    temperature: Annotated[float, typer.Option(help="Of both softmaxes.", min=1e-3)] = 1.0,
    share: Annotated[float, typer.Option(help="Of distillation; the rest is next-token.", min=0, max=1)] = 1.0,
    held_out: Annotated[list[Path] | None, typer.Option(help="Texts to evaluate on as the run goes.")] = None,
    length: Length = 256,
    *,
    recipe: Recipe,
) -> None:
    """Trains a student on its teacher's distributions in place of the tokens that came. Uses the teacher's tokenizer.

    [dim]culet distil runs/teacher books/ --preset gemma-2-2b --scaled layers=2,width=64 --out runs/student[/]
    """
    from culet.cli.runs import new_or_loaded, save, tokenised
    from culet.lm import load
    from culet.lm._train import train as run
    from culet.lm.losses import StudentAndTeacher, from_teacher

    master, words = load(teacher)
    student, _ = new_or_loaded(model, preset, scaled, words, (), recipe.seed, out)
    rows = tokenised(texts, words, length, False)
    trained = run(
        StudentAndTeacher(student, master), rows, recipe, trainable=StudentAndTeacher(True, False), folder=out,
        name=out.name,
        loss=from_teacher(temperature=temperature, share=share, remat=recipe.remat, scan=recipe.scan),
        held_out=tokenised(held_out, words, length, False) if held_out else None,
    )  # fmt: skip
    save(out, trained.student, words)


def evaluate(
    model: Annotated[str, typer.Argument(help="A model folder or a Hub id.", show_default=False)],
    texts: Texts,
    length: Length = 256,
    batch_size: Annotated[int, typer.Option(help="Rows at a time.", min=1)] = 16,
    conversations: Annotated[bool, typer.Option("--chat", help="Score only answers of conversations.")] = False,
) -> None:
    """Loss in nats per token, perplexity and bits per byte of texts under a model.

    [dim]culet eval runs/small held_out.txt[/]
    """
    import json
    import math

    from culet.cli.runs import text_bytes, tokenised
    from culet.lm import load
    from culet.lm._train import evaluate as score

    decoder, words = load(model)
    found = score(decoder, tokenised(texts, words, length, conversations), batch_size)
    if not conversations:
        found["bits_per_byte"] = found["loss"] * found["tokens"] / math.log(2) / text_bytes(texts)
    print(json.dumps(found))
