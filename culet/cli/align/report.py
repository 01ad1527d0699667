"""What a run did, as one HTML file."""

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import jinja2

from culet.cli.align.plan import Plan
from culet.core import atomic_write
from culet.core.log import read_log

TEMPLATE = Path(__file__).with_name("report.html.jinja")
COLUMNS = ("kl", "win_rate", "reward", "length", "entropy")


def write_report(folder: Path, plan: Plan) -> None:
    """Writes `report.html` from the `front.jsonl`, `front.png` and `samples.jsonl` of a finished run."""
    points = read_log(folder / "front.jsonl")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        name=folder.name, plan=plan, points=points, last=points[-1],
        columns=[name for name in COLUMNS if name in points[-1]],
        picture=base64.b64encode((folder / "front.png").read_bytes()).decode(),
        samples=_before_and_after(read_log(folder / "samples.jsonl")),
        plan_text=json.dumps(dataclasses.asdict(plan), indent=2, ensure_ascii=False, default=str),
    )  # fmt: skip
    atomic_write(folder / "report.html", page)


def _before_and_after(samples: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The completions of the first and the last step, by prompt."""
    first, last = samples[0]["step"], samples[-1]["step"]
    before = [row for row in samples if row["step"] == first]
    after = [row for row in samples if row["step"] == last]
    return [
        {"prompt": old["prompt"], "before": old["text"], "after": new["text"]}
        for old, new in zip(before, after, strict=True)
    ]
