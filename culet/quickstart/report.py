"""The report of a quickstart: one HTML file, and its two pictures as files of their own."""

import base64
import json
from pathlib import Path
from typing import Any

import jinja2

from culet.core import atomic_write, line_plot
from culet.core.log import read_log

TEMPLATE = Path(__file__).with_name("report.html.jinja")
RUNS = ("teacher", "student", "twin")
LABELS = {"teacher": "teacher", "student": "student (distilled)", "twin": "twin (tokens alone)"}
MODEL_NAMES = {**LABELS, "model": "student, tuned to answer"}


def write_report(folder: Path, summary: dict[str, Any]) -> None:
    """Writes `losses.png`, `held_out.png` and, last, `report.html` with both inside."""
    logs = {name: read_log(folder / "runs" / name / "log.jsonl") for name in RUNS}
    pictures = {
        "losses": _draw(folder / "losses.png", logs, "cross_entropy", "Training loss on the same tokens"),
        "held_out": _draw(folder / "held_out.png", logs, "evaluation/loss", "Loss on held-out text"),
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        summary=summary, pictures=pictures, model_names=MODEL_NAMES, gain=_gain(summary), sizes=_sizes(folder),
        speeds={name: _speed(folder, name) for name in (*RUNS, "tuning")},
        shown=_shown(summary["examination"]["answers"]), plan=json.dumps(summary["plan"], indent=2),
    )  # fmt: skip
    atomic_write(folder / "report.html", page)


def _draw(path: Path, logs: dict[str, list[dict[str, Any]]], metric: str, title: str) -> str:
    """Draws one metric of the three runs and returns the picture in base64."""
    curves = {}
    for name, rows in logs.items():
        points = [(row["step"], row[metric]) for row in rows if row.get(metric) is not None]
        curves[LABELS[name]] = ([x for x, _ in points], [y for _, y in points])
    line_plot(path, curves, "step", "nats per token", title)
    return base64.b64encode(path.read_bytes()).decode()


def _gain(summary: dict[str, Any]) -> float:
    """By how many nats per token the distilled student is better than its twin on held-out text."""
    models = summary["models"]
    return models["twin"]["held_out_loss"] - models["student"]["held_out_loss"]


def _sizes(folder: Path) -> dict[str, float]:
    """Megabytes of each model's weights on disk."""
    return {name: sum(f.stat().st_size for f in (folder / name).glob("*.safetensors")) / 1e6 for name in MODEL_NAMES}


def _speed(folder: Path, name: str) -> float:
    """Tokens per second in training: the median of what was logged."""
    rates = sorted(row["tokens_per_second"] for row in read_log(folder / "runs" / name / "log.jsonl")
                   if row.get("tokens_per_second"))  # fmt: skip
    return rates[len(rates) // 2] if rates else 0.0


def _shown(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first two answers of each kind and group, whether they are good or not."""
    shown, counts = [], {}
    for answer in answers:
        place = (answer["group"], answer["kind"])
        counts[place] = counts.get(place, 0) + 1
        if counts[place] <= 2:
            shown.append(answer)
    return sorted(shown, key=lambda answer: (answer["group"], answer["kind"]))
