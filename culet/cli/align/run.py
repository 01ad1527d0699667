"""A run of a plan: from its files to an aligned model's folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from culet.align.frontier import Frontier
from culet.align.loop import align, check_run
from culet.align.prompts import PromptRow, PromptSet, read_rows
from culet.cli.align.plan import Plan
from culet.cli.align.report import write_report
from culet.cli.align.sources import JUDGES, REWARDS, build
from culet.core.text import hash_fraction
from culet.lm import LoRA, load, save
from culet.nn import merge_lora

if TYPE_CHECKING:
    from culet.lm import Tokenizer

HELD_OUT = 0.1  # of the prompts, if the plan names no file of them
MOST_HELD_OUT = 64  # prompts that a point of the frontier is measured on


def run_alignment(plan: Plan) -> Path:
    """Aligns the model of a plan and returns its folder, which also holds the frontier, samples and a report.

    Raises as `read_rows`, `align` and the rewards do, and ValueError where the folder holds another plan's run.
    """
    out, recipe, method = Path(plan.out), plan.align_recipe(), plan.align_method()
    policy, tokenizer = load(plan.model, dtype="float32")
    rows, held = _rows(plan, tokenizer)
    prompts = PromptSet(rows, tokenizer, end_id=_end_of_answer(tokenizer) if plan.chat else None)
    asked = PromptSet(held, tokenizer)
    reward = None if plan.reward is None else build(plan.reward, REWARDS, "reward")
    judge = None if plan.judge is None else build(plan.judge, JUDGES, "judge")
    teachers = tuple(load(folder, dtype="float32")[0] for folder in plan.teachers)
    check_run(policy, method, prompts, recipe, reward=reward, compare=judge, teachers=len(teachers))
    plan.keep()
    front = Frontier(policy, asked, recipe.new_tokens, folder=out, seed=recipe.seed, **_evaluator(plan, reward, judge))
    aligned = align(
        policy, method, prompts, recipe, reward=reward, compare=judge, teachers=teachers, lora=_lora(plan),
        evaluate=front, folder=out, name=out.name,
    )  # fmt: skip
    save(out, merge_lora(aligned), tokenizer)
    write_report(out, plan)
    return out


def _rows(plan: Plan, tokenizer: "Tokenizer") -> tuple[list[PromptRow], list[PromptRow]]:
    """Prompts to learn from and to be judged on, the latter at most `MOST_HELD_OUT`."""
    rows = read_rows(plan.prompts, tokenizer, column=plan.column, chat=plan.chat)
    if plan.held_out is not None:
        held = read_rows(plan.held_out, tokenizer, column=plan.column, chat=plan.chat)
    else:
        held = [row for row in rows if hash_fraction(row.text) < HELD_OUT]
        rows = [row for row in rows if hash_fraction(row.text) >= HELD_OUT]
    if not rows or not held:
        raise ValueError(
            f"{plan.prompts}: too few prompts to hold a tenth of them out for the frontier; give more, "
            "or others in a file, as held_out"
        )
    return rows, sorted(held, key=lambda row: hash_fraction("front " + row.text))[:MOST_HELD_OUT]


def _evaluator(plan: Plan, reward: Any, judge: Any) -> dict[str, Any]:
    """What the frontier is measured by. Where a method learns from no reward the plan must say by what."""
    if plan.evaluator is None:
        if reward is None and judge is None:
            raise ValueError(
                "the plan has neither a reward nor a judge nor an evaluator; name one to measure the frontier by"
            )
        return {"reward": reward, "compare": judge}
    if plan.evaluator["name"] in JUDGES:
        return {"compare": build(plan.evaluator, JUDGES, "evaluator")}
    return {"reward": build(plan.evaluator, REWARDS, "evaluator")}


def _lora(plan: Plan) -> LoRA | None:
    """Adapters on all linear layers, if the plan gives them a rank."""
    return None if plan.lora_rank is None else LoRA(rank=plan.lora_rank, alpha=plan.lora_alpha)


def _end_of_answer(tokenizer: "Tokenizer") -> int:
    """What ends a turn of the model in a conversation."""
    return tokenizer.specials.get("<end_of_turn>", tokenizer.eos_id)
