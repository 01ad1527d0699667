"""What a run of `culet align` is: a model, prompts, a method, a reward and an evaluator, from a TOML file or flags.

A plan is checked whole before anything is loaded, and is kept beside the run, which goes on only with the same one.
"""

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from culet.align.experience import Method
from culet.align.loop import AlignRecipe, current_names
from culet.cli.align.sources import JUDGES, METHODS, REWARDS, build, call_with, check_section
from culet.core.files import atomic_write

SECTIONS = ("method", "reward", "judge", "evaluator", "recipe")
FILE = "plan.json"  # in the folder of the run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked plan. `reward` or `judge` is what the run learns from, `evaluator` what the frontier is measured by."""

    model: str
    prompts: str
    out: str
    method: Mapping[str, Any]
    reward: Mapping[str, Any] | None = None
    judge: Mapping[str, Any] | None = None
    evaluator: Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    held_out: str | None = None  # prompts of the frontier; without it a tenth of the prompts, chosen by a hash
    column: str = "prompt"
    chat: bool = False
    teachers: Sequence[str] = ()
    lora_rank: int | None = None
    lora_alpha: float = 16.0
    same_judge: bool = False  # the evaluator may be what the run learns from

    def __post_init__(self):
        build(self.method, METHODS, "method")
        for name, known in (("reward", REWARDS), ("judge", JUDGES), ("evaluator", {**REWARDS, **JUDGES})):
            if (section := getattr(self, name)) is not None:
                check_section(section, known, name)
        self.align_recipe()
        if self.judge is not None and self.reward is not None:
            raise ValueError("the plan has a reward and a judge; a run learns from one of them")
        learned = self.reward or self.judge
        if learned is not None and self.evaluator in (None, learned) and not self.same_judge:
            raise ValueError(
                "the evaluator equals the training reward: reward hacking would go unseen; give another evaluator, or "
                "say same_judge = true"
            )

    def align_recipe(self) -> AlignRecipe:
        """The numbers of the loop."""
        return call_with(AlignRecipe, self.recipe, "recipe")

    def align_method(self) -> Method:
        """The algorithm."""
        return build(self.method, METHODS, "method")

    def keep(self) -> None:
        """Writes the plan beside its run. Raises ValueError if another plan's run is there."""
        path = Path(self.out) / FILE
        mine = json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False, default=str) + "\n"
        if path.exists():
            kept = _current(json.loads(path.read_text(encoding="utf-8")))
            if changed := [name for name, value in json.loads(mine).items() if kept.get(name) != value]:
                raise ValueError(
                    f"{self.out} holds a run with another plan ({', '.join(changed)} differ); go on with the same one, "
                    "or take another folder"
                )
        atomic_write(path, mine)


def read_plan(config: str | Path | None, flags: Mapping[str, Any], settings: Sequence[str]) -> Plan:
    """The plan of a TOML file, then of flags that are not None, then of settings such as "recipe.steps=100".

    A name in place of a section ("reward": "length-near") is that section's `name`. Raises ValueError for a file that
    is no TOML, keys that are unknown or missing, and as `Plan` does.
    """
    data: dict[str, Any] = {} if config is None else _toml(Path(config))
    for key, value in flags.items():
        if value is not None and key in SECTIONS:
            data[key] = {"name": value}
        elif value is not None:
            data[key] = value
    for setting in settings:
        _put(data, setting)
    data = _current(data)
    known = {field.name: field for field in dataclasses.fields(Plan)}
    if odd := sorted(set(data) - set(known)):
        raise ValueError(f"the plan has an unknown key {odd[0]!r}; its keys are {', '.join(known)}")
    for key, field in known.items():
        if key not in data and field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f"the plan has no {key!r}; say it in the file, or as --{key}")
        if key in data and key in SECTIONS and not isinstance(data[key], Mapping):
            raise ValueError(f"[{key}] must be a table with a name and its settings")
    return Plan(**data)


def _current(data: Mapping[str, Any]) -> dict[str, Any]:
    """A plan with what once had other names under today's: the reference model was called the anchor."""
    current = dict(data)
    if isinstance(recipe := data.get("recipe"), Mapping):
        current["recipe"] = current_names(recipe)
    method = data.get("method")
    if isinstance(method, Mapping) and method.get("source") == "anchor":
        current["method"] = {**method, "source": "reference"}
    return current


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"{path}: not TOML ({problem})") from None


def _put(data: dict[str, Any], setting: str) -> None:
    """Adds "recipe.steps=100" to the data; what is no TOML value is text."""
    key, equals, value = setting.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path) or len(path) > 2:
        raise ValueError(f"--set takes KEY=VALUE or SECTION.KEY=VALUE, not {setting!r}")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    place = data if len(path) == 1 else data.setdefault(path[0], {})
    if not isinstance(place, dict):
        raise ValueError(f"--set {setting}: {path[0]!r} has no settings")
    place[path[-1]] = parsed
