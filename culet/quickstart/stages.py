"""The main job from nothing: a tokenizer, a teacher, a distilled student and its twin, and a model that answers.

Everything is made of the text that Python brings along (`culet.quickstart.corpus`). Each stage leaves a folder; a run
that was stopped goes on where it was, in the middle of a stage too.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from culet.core import atomic_write
from culet.lm._generate import generate
from culet.lm._presets import scaled
from culet.lm._train import Recipe, answer_rows, evaluate, text_rows, train
from culet.lm.decoder import Decoder, DecoderConfig
from culet.lm.formats.checkpoint import load, save
from culet.lm.losses import StudentAndTeacher, from_teacher
from culet.lm.tokenizers.tokenizer import Tokenizer
from culet.lm.tokenizers.training import train_tokenizer
from culet.quickstart.corpus import documents
from culet.quickstart.evaluation import examine
from culet.quickstart.questions import QuestionAnswer, questions

PROMPTS = ("The following", "Return the", "class Path", "To open a file")
ROWS_HELD_OUT = 96  # rows looked at as a run goes; its end is measured on all


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Every number of the quickstart."""

    vocabulary: int = 2048
    length: int = 128  # tokens per row
    answer_length: int = 192  # the same for questions and answers, the longest of which fits
    context: int = 512
    window: int = 64  # of the local layers
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
    asked: int = 120  # held-out questions of either kind
    seed: int = 0

    def shape(self, width: int, layers: int) -> DecoderConfig:
        """Gemma 2's shape at another size."""
        return scaled(
            "gemma-2-2b", width=width, layers=layers, vocabulary=self.vocabulary, window=self.window,
            context=self.context,
        )  # fmt: skip

    def recipe(self, steps: int, rate: float) -> Recipe:
        """How one of the models is trained."""
        return Recipe(
            steps=steps, batch_size=self.batch_size, learning_rate=rate, warmup=0.1, seed=self.seed,
            checkpoint_every=self.checkpoint_every, evaluate_every=self.evaluate_every,
        )  # fmt: skip


def quickstart(folder: str | Path, plan: Plan | None = None, console: Console | None = None) -> dict[str, Any]:
    """Runs all stages in `folder` and returns what `summary.json` there holds; `report.html` shows it.

    The model to talk to is in `folder/model`, and what it was asked in `folder/questions.jsonl`, prompts for `culet
    align`. Raises what `culet.core.fit` raises; the same call goes on afterwards.
    """
    from culet.quickstart.report import write_report

    folder, plan, console = Path(folder), plan or Plan(), console or Console(stderr=True)
    _check_plan(folder, plan)
    done = folder / "summary.json"
    if not done.exists():
        clock = _Clock(folder, console)
        words, texts, held = _texts(folder, plan, clock)
        models = _models(folder, plan, words, texts, held, clock)
        tuned = _tune(folder, plan, words, models["student"], clock)
        with clock("asking held-out questions and measuring"):
            summary = _measure(plan, words, models, tuned, texts, held)
        atomic_write(done, json.dumps(summary | {"seconds": clock.seconds}, indent=2, ensure_ascii=False))
    summary = json.loads(done.read_text())
    write_report(folder, summary)
    return summary


class _Clock:
    """Announces stages and adds up how long each took, over restarts too."""

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
    """Another plan cannot go on in the folder of this one."""
    file, text = folder / "plan.json", json.dumps(dataclasses.asdict(plan), indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.read_text() != text:
        raise ValueError(f"{folder} holds a quickstart of another plan; give another folder, or remove this one")
    atomic_write(file, text)


def _texts(folder: Path, plan: Plan, clock: _Clock) -> tuple[Tokenizer, Any, Any]:
    with clock("reading Python's documentation and learning a tokenizer"):
        training = [document.text for document in documents() if not document.held_out]
        held_out = [document.text for document in documents() if document.held_out]
        if not (folder / "tokenizer" / "tokenizer_config.json").exists():  # written last
            train_tokenizer(training, plan.vocabulary).save(folder / "tokenizer")
        words = Tokenizer.load(folder / "tokenizer")
        return words, text_rows(training, words, plan.length), text_rows(held_out, words, plan.length)


def _models(folder: Path, plan: Plan, words: Tokenizer, texts: Any, held: Any, clock: _Clock) -> dict[str, Decoder]:
    """The teacher, the student that listens to it, and the twin that reads the same tokens alone."""
    watched = {name: array[:ROWS_HELD_OUT] for name, array in held.items()}
    large = plan.shape(plan.teacher_width, plan.teacher_layers)
    small = plan.shape(plan.student_width, plan.student_layers)
    key = jax.random.key(plan.seed)

    def once(name: str, make: Callable[[], Decoder]) -> Decoder:
        if not (folder / name / "config.json").exists():
            save(folder / name, make(), words)
        return load(folder / name)[0]

    def learn(name: str, model: Any, rate: float, **options: Any) -> Any:
        recipe = plan.recipe(plan.steps, rate)
        return train(model, texts, recipe, held_out=watched, folder=folder / "runs" / name, name=name, **options)

    with clock("training the teacher on tokens"):
        teacher = once("teacher", lambda: learn("teacher", large.init(key), plan.teacher_rate))
    with clock("distilling the student from the teacher"):
        student = once(
            "student",
            lambda: learn(
                "student", StudentAndTeacher(small.init(key), teacher), plan.student_rate,
                loss=from_teacher(), trainable=StudentAndTeacher(True, False),
            ).student,
        )  # fmt: skip
    with clock("training the student's twin on tokens alone"):
        twin = once("twin", lambda: learn("twin", small.init(key), plan.student_rate))
    return {"teacher": teacher, "student": student, "twin": twin}


def _tune(folder: Path, plan: Plan, words: Tokenizer, student: Decoder, clock: _Clock) -> Decoder:
    """The student, taught to answer; the model to talk to."""
    with clock("tuning the student on questions and answers"):
        if not (folder / "model" / "config.json").exists():
            asked = [pair for pair in questions() if not pair.held_out]
            lines = (json.dumps({"prompt": pair.question, "answer": pair.answer}) + "\n" for pair in asked)
            atomic_write(folder / "questions.jsonl", "".join(lines))
            rows = answer_rows([_turns(pair) for pair in asked], words, plan.answer_length)
            recipe = plan.recipe(plan.tuning_steps, plan.tuning_rate)
            tuned = train(student, rows, recipe, folder=folder / "runs" / "tuning", name="tuning")
            save(folder / "model", tuned, words)
        return load(folder / "model")[0]


def _turns(pair: QuestionAnswer) -> list[dict[str, str]]:
    return [{"role": "user", "content": pair.question}, {"role": "assistant", "content": pair.answer}]


def _measure(
    plan: Plan, words: Tokenizer, models: dict[str, Decoder], tuned: Decoder, texts: Any, held: Any
) -> dict[str, Any]:
    """Held-out losses, samples, speeds and examination results of all models."""
    text_bytes = sum(len(document.text.encode()) for document in documents() if document.held_out)
    summary: dict[str, Any] = {"plan": dataclasses.asdict(plan), "python": _version(), "models": {}}
    summary["tokens"] = {"training": int(texts["weights"].sum()), "held_out": int(held["weights"].sum())}
    for name, model in {**models, "model": tuned}.items():
        found = evaluate(model, held, plan.batch_size)
        summary["models"][name] = {
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(model)),
            "held_out_loss": found["loss"],
            "bits_per_byte": found["loss"] * found["tokens"] / math.log(2) / text_bytes,
        }
    summary["samples"] = _samples(words, models)
    summary["generation"] = _speed(words, tuned)
    summary["examination"] = examine(tuned, words, questions(), plan.asked)
    return summary


def _samples(words: Tokenizer, models: dict[str, Decoder]) -> dict[str, list[dict[str, str]]]:
    key = jax.random.key(1)
    return {
        name: [
            {"prompt": prompt, "text": completion.text}
            for prompt, completion in zip(
                PROMPTS,
                generate(model, words, PROMPTS, max_new_tokens=48, temperature=0.7, top_p=0.9, key=key),
                strict=True,
            )
        ]
        for name, model in models.items()
    }


def _speed(words: Tokenizer, model: Decoder) -> dict[str, float]:
    """Tokens per second of one and of eight completions, compilation apart, best of three."""
    speeds = {}
    for rows in (1, 8):
        prompts: Sequence[str] = ["The module"] * rows
        seconds = []
        for _ in range(4):
            begun = time.perf_counter()
            generate(model, words, prompts, max_new_tokens=64, stop_ids=[])
            seconds.append(time.perf_counter() - begun)
        speeds[f"batch {rows}"] = rows * 64 / min(seconds[1:])
    return speeds


def _version() -> str:
    import platform

    return f"{platform.python_implementation()} {platform.python_version()}"
