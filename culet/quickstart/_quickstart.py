"""The stages of the quickstart: tokenizer, teacher, distilled student, its twin, tuning on answers, measurements.

The text is what Python brings along (`culet.quickstart.corpus`). Each stage leaves a folder; a run that was stopped
continues where it was, in the middle of a stage too.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from culet.core import atomic_write
from culet.lm import (
    Decoder,
    DecoderConfig,
    Recipe,
    Tokenizer,
    answer_rows,
    decode_speed,
    distil,
    evaluate,
    generate,
    load,
    save,
    scaled,
    text_rows,
    train,
    train_tokenizer,
)
from culet.lm._train import Rows
from culet.quickstart.corpus import documents
from culet.quickstart.evaluation import examine
from culet.quickstart.questions import QuestionAnswer, questions
from culet.quickstart.report import write_report

PROMPTS = ("The following", "Return the", "class Path", "To open a file")
ROWS_HELD_OUT = 96  # rows that are evaluated on during a run; at the end it is all of them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Every number of the quickstart. The defaults take some minutes on two cores."""

    vocabulary: int = 2048
    length: int = 128  # tokens per row of text
    answer_length: int = 192  # tokens per row of questions and answers; the longest fits
    context: int = 512
    window: int = 64  # tokens that a local layer sees
    batch_size: int = 32
    teacher_width: int = 160
    teacher_layers: int = 6
    student_width: int = 64
    student_layers: int = 4
    steps: int = 180  # of teacher, student and twin: about once through the text
    tuning_steps: int = 150
    teacher_rate: float = 4e-3
    student_rate: float = 6e-3  # the twin's too
    tuning_rate: float = 3e-3
    checkpoint_every: int = 30
    evaluate_every: int = 60
    asked: int = 120  # held-out questions on subjects in the training text, and as many on others
    seed: int = 0

    def config(self, width: int, layers: int) -> DecoderConfig:
        """The configuration of a model of Gemma 2's shape, `width` channels wide and `layers` deep."""
        return scaled(
            "gemma-2-2b", width=width, layers=layers, vocabulary=self.vocabulary, window=self.window,
            context=self.context,
        )  # fmt: skip

    def recipe(self, steps: int, rate: float) -> Recipe:
        """The recipe for a run of `steps` steps with the peak learning rate `rate`."""
        return Recipe(
            steps=steps, batch_size=self.batch_size, learning_rate=rate, warmup=0.1, seed=self.seed,
            checkpoint_every=self.checkpoint_every, evaluate_every=self.evaluate_every,
        )  # fmt: skip


def quickstart(folder: str | Path, plan: Plan | None = None, console: Console | None = None) -> dict[str, Any]:
    """Runs all stages in `folder` and returns its `summary.json`: losses, samples, speeds and scores of the models.

    `folder` then holds the model folders `teacher`, `student`, `twin` and `model`, the one to talk to; `tokenizer`;
    `questions.jsonl`, the questions it was tuned on, which are prompts for `culet align`; and `report.html`.
    Progress goes to `console`, by default standard error. Raises what `culet.core.fit` raises, and ValueError if the
    folder holds a quickstart of another plan. After an interruption, the same call continues.
    """
    folder, plan, console = Path(folder), plan or Plan(), console or Console(stderr=True)
    _check_plan(folder, plan)
    done = folder / "summary.json"
    if not done.exists():
        clock = _Clock(folder, console)
        tokenizer, rows, held_out = _texts(folder, plan, clock)
        models = _models(folder, plan, tokenizer, rows, held_out, clock)
        tuned = _tune(folder, plan, tokenizer, models["student"], clock)
        with clock("asking held-out questions and measuring"):
            summary = _measure(plan, tokenizer, models, tuned, rows, held_out)
        atomic_write(done, json.dumps(summary | {"seconds": clock.seconds}, indent=2, ensure_ascii=False))
    summary = json.loads(done.read_text())
    write_report(folder, summary)
    return summary


class _Clock:
    """`with clock("a stage"):` prints the stage and adds up how long it took, over restarts too."""

    def __init__(self, folder: Path, console: Console):
        self.file, self.console = folder / "seconds.json", console
        self.seconds: dict[str, float] = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.stage = ""

    def __call__(self, stage: str) -> "_Clock":
        self.stage = stage
        return self

    def __enter__(self) -> None:
        self.console.print(f"[bold]{self.stage}[/]")
        self.begun = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + time.monotonic() - self.begun
        atomic_write(self.file, json.dumps(self.seconds))


def _check_plan(folder: Path, plan: Plan) -> None:
    """Writes `plan.json`. Raises ValueError if the folder has one with other numbers."""
    file, text = folder / "plan.json", json.dumps(dataclasses.asdict(plan), indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.read_text() != text:
        raise ValueError(
            f"{folder} holds a quickstart with other numbers (see plan.json there); give another folder, or remove it"
        )
    atomic_write(file, text)


def _texts(folder: Path, plan: Plan, clock: _Clock) -> tuple[Tokenizer, Rows, Rows]:
    """The tokenizer, the rows to train on and those held out."""
    with clock("reading Python's documentation and learning a tokenizer"):
        training = [document.text for document in documents() if not document.held_out]
        held_out = [document.text for document in documents() if document.held_out]
        if not (folder / "tokenizer" / "tokenizer_config.json").exists():  # written last
            train_tokenizer(training, plan.vocabulary).save(folder / "tokenizer")
        tokenizer = Tokenizer.load(folder / "tokenizer")
        return tokenizer, text_rows(training, tokenizer, plan.length), text_rows(held_out, tokenizer, plan.length)


def _models(
    folder: Path, plan: Plan, tokenizer: Tokenizer, rows: Rows, held_out: Rows, clock: _Clock
) -> dict[str, Decoder]:
    """The teacher, the student distilled from it, and the twin: the same student trained on the tokens alone."""
    watched = {name: array[:ROWS_HELD_OUT] for name, array in held_out.items()}
    large = plan.config(plan.teacher_width, plan.teacher_layers)
    small = plan.config(plan.student_width, plan.student_layers)
    key = jax.random.key(plan.seed)

    def once(name: str, make: Callable[..., Decoder]) -> Decoder:
        """The model in the folder of this name, made first if there is none; `make` gets options for its run."""
        if not (folder / name / "config.json").exists():
            model = make(held_out=watched, folder=folder / "runs" / name, name=name)
            save(folder / name, model, tokenizer)
        return load(folder / name)[0]

    teacher_recipe = plan.recipe(plan.steps, plan.teacher_rate)
    student_recipe = plan.recipe(plan.steps, plan.student_rate)
    with clock("training the teacher on tokens"):
        teacher = once("teacher", lambda **run: train(large.init(key), rows, teacher_recipe, **run))
    with clock("distilling the student from the teacher"):
        student = once("student", lambda **run: distil(small.init(key), teacher, rows, student_recipe, **run))
    with clock("training the student's twin on tokens alone"):
        twin = once("twin", lambda **run: train(small.init(key), rows, student_recipe, **run))
    return {"teacher": teacher, "student": student, "twin": twin}


def _tune(folder: Path, plan: Plan, tokenizer: Tokenizer, student: Decoder, clock: _Clock) -> Decoder:
    """The model to talk to: the student, tuned on questions and answers."""
    with clock("tuning the student on questions and answers"):
        if not (folder / "model" / "config.json").exists():
            pairs = [pair for pair in questions() if not pair.held_out]
            lines = (json.dumps({"prompt": pair.question, "answer": pair.answer}) + "\n" for pair in pairs)
            atomic_write(folder / "questions.jsonl", "".join(lines))
            rows = answer_rows([_messages(pair) for pair in pairs], tokenizer, plan.answer_length)
            recipe = plan.recipe(plan.tuning_steps, plan.tuning_rate)
            tuned = train(student, rows, recipe, folder=folder / "runs" / "tuning", name="tuning")
            save(folder / "model", tuned, tokenizer)
        return load(folder / "model")[0]


def _messages(pair: QuestionAnswer) -> list[dict[str, str]]:
    return [{"role": "user", "content": pair.question}, {"role": "assistant", "content": pair.answer}]


def _measure(
    plan: Plan, tokenizer: Tokenizer, models: dict[str, Decoder], tuned: Decoder, rows: Rows, held_out: Rows
) -> dict[str, Any]:
    """Held-out losses, samples, speeds, and scores on held-out questions."""
    text_bytes = sum(len(document.text.encode()) for document in documents() if document.held_out)
    summary: dict[str, Any] = {"plan": dataclasses.asdict(plan), "python": _version(), "models": {}}
    summary["tokens"] = {"training": int(rows["weights"].sum()), "held_out": int(held_out["weights"].sum())}
    for name, model in {**models, "model": tuned}.items():
        scores = evaluate(model, held_out, plan.batch_size)
        summary["models"][name] = {
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(model)),
            "held_out_loss": scores["loss"],
            "bits_per_byte": scores["loss"] * scores["tokens"] / math.log(2) / text_bytes,
        }
    summary["samples"] = _samples(tokenizer, models)
    summary["generation"] = _speed(tuned)
    summary["examination"] = examine(tuned, tokenizer, questions(), plan.asked)
    return summary


def _samples(tokenizer: Tokenizer, models: dict[str, Decoder]) -> dict[str, list[dict[str, str]]]:
    key = jax.random.key(1)
    return {
        name: [
            {"prompt": prompt, "text": completion.text}
            for prompt, completion in zip(
                PROMPTS,
                generate(model, tokenizer, PROMPTS, max_new_tokens=48, temperature=0.7, top_p=0.9, key=key),
                strict=True,
            )
        ]
        for name, model in models.items()
    }


def _speed(model: Decoder) -> dict[str, float]:
    """Tokens per second of writing after a short prompt, one and eight completions at once."""
    return {f"batch {rows}": float(decode_speed(model, [8], batch_size=rows)[0]) for rows in (1, 8)}


def _version() -> str:
    import platform

    return f"{platform.python_implementation()} {platform.python_version()}"
