"""Post-training beside TRL: `python -m benchmarks.alignment`, with CULET_DATA naming a folder that has Multi30k.

The caption model of the post-training experiments, 0.16M parameters in float32, learns by RLOO and by online DPO from
the learned reward, and by on-policy distillation (reverse KL) from a teacher. Both sides begin with the same weights
and take the same prompts, completions per step, optimiser, schedule and clipping. Speed is completion tokens per
second of a short run, by turns, compilation apart (bar 2.0). What the two sides learn: `benchmarks.alignment_curves`.

Where the two differ in mathematics:

* RLOO: TRL's loss is the importance ratio, clipped to [0.8, 1.2], times the advantage, ours the log-probability times
  it; on the first pass over samples the gradients are the same. Both put KL (k1) into the reward.
* Online DPO: TRL calls the first of two equal rewards the better one, ours learns nothing from a tie. TRL's adds no
  beginning token to a prompt that is no conversation; here the prompt's text has it.
* Distillation: both are the mean over completion tokens of the exact divergence. TRL's `beta` 1 is the reverse KL.
* TRL draws with torch's generator, so that no two runs see the same completions.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import arguments, by_turns, ratio, report, seconds
from culet.align.loop import AlignRecipe, align
from culet.align.methods import Distil, Preferences, Reinforce
from culet.lm import Decoder, save
from culet.tasks.caption_policy import SIZES, prompts, supervised, tokenizer, yardstick
from culet.tasks.captions import reward

PROMPTS, EACH, TOKENS = 32, 2, SIZES["laptop"].new_tokens  # per step, completions of each, and the longest of those
STEPS = 30  # of a turn
RATES = {"RLOO": 1e-3, "online DPO": 6.5e-4, "distillation": 1e-3}
BETA = {"RLOO": 1.0, "online DPO": 0.1}
BAR = 2.0

Evaluate = Callable[[Decoder, int], Mapping[str, float]]


def batch_of(name: str) -> int:
    """Prompts per step; distillation, which has one completion of each, takes as many more."""
    return PROMPTS * EACH // (1 if name == "distillation" else EACH)


def beginner(name: str, seed: int) -> Decoder:
    """The supervised model; for distillation from it, one of half the width that has not learned yet."""
    if name != "distillation":
        return supervised("laptop", seed)
    import jax

    from culet.lm import scaled

    size = tokenizer("laptop").vocabulary
    config = scaled("gemma-2-2b", layers=2, width=32, vocabulary=size, window=32, context=64)
    return config.init(jax.random.key(seed))


def ours(
    name: str, seed: int, steps: int, evaluate: Evaluate | None = None, every: int = 1
) -> Callable[[], object]:  # fmt: skip
    """One run of `culet.align.align`, all but begun."""
    methods = {
        "RLOO": Reinforce(samples=EACH, beta=BETA["RLOO"]),
        "online DPO": Preferences(form="dpo", beta=BETA["online DPO"], online=True),
        "distillation": Distil(divergence="reverse_kl"),
    }
    recipe = AlignRecipe(
        steps=steps, batch_size=batch_of(name), new_tokens=TOKENS, learning_rate=RATES[name], seed=seed,
        evaluate_every=every,
    )  # fmt: skip
    teachers = (supervised("laptop", seed),) if name == "distillation" else ()
    judged = None if teachers else reward("laptop")
    policy = beginner(name, seed)
    return lambda: align(
        policy,
        methods[name],
        prompts("laptop", "training"),
        recipe,
        reward=judged,
        teachers=teachers,
        evaluate=evaluate,
        progress=False,
    )


def trainer(name: str, seed: int, steps: int) -> Any:
    """TRL's trainer for the same run, from a folder that we saved, all but begun."""
    from datasets import Dataset
    from transformers import AutoTokenizer

    asked = prompts("laptop", "training")
    batches = asked.batches(batch_of(name), seed)
    rows = [asked.rows[number] for step in range(steps) for number in batches[step]["row"].tolist()]
    common: dict[str, Any] = {
        "max_steps": steps, "learning_rate": RATES[name], "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": 0.1}, "warmup_steps": steps // 10, "weight_decay": 0.0,
        "adam_beta1": 0.9, "adam_beta2": 0.95, "max_grad_norm": 1.0, "temperature": 1.0, "use_cpu": True, "bf16": False,
        "gradient_checkpointing": False, "save_strategy": "no", "report_to": "none", "disable_tqdm": True,
        "logging_strategy": "no", "dataloader_pin_memory": False, "seed": seed, "output_dir": tempfile.gettempdir(),
    }  # fmt: skip
    texts = Dataset.from_dict({"prompt": [row.text for row in rows]})
    with tempfile.TemporaryDirectory() as folder:  # the trainers load what they compare with from there
        for part, model in (("policy", beginner(name, seed)), ("start", supervised("laptop", seed))):
            save(Path(folder) / part, model, tokenizer("laptop"))
        reading = AutoTokenizer.from_pretrained(f"{folder}/policy", padding_side="left")
        if any(reading(row.text)["input_ids"] != list(row.tokens) for row in rows[:100]):
            raise ValueError("the two sides read prompts as different tokens")
        return _TRAINERS[name](Path(folder), reading, texts, common)


def _loaded(folder: str | Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def _worth(completions: list[str], **_: Any) -> list[float]:
    return reward("laptop").of_texts(completions).tolist()


def _rloo(folder: Path, reading: Any, rows: Any, common: dict[str, Any]) -> Any:
    from trl import RLOOConfig, RLOOTrainer

    config = RLOOConfig(
        **common, per_device_train_batch_size=PROMPTS * EACH, num_generations=EACH, max_completion_length=TOKENS,
        beta=BETA["RLOO"], shuffle_dataset=False,
    )  # fmt: skip
    return RLOOTrainer(_loaded(folder / "policy"), _worth, args=config, train_dataset=rows, processing_class=reading)


def _online_dpo(folder: Path, reading: Any, rows: Any, common: dict[str, Any]) -> Any:
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    config = OnlineDPOConfig(
        **common, per_device_train_batch_size=PROMPTS, max_new_tokens=TOKENS, beta=BETA["online DPO"], use_vllm=False,
    )  # fmt: skip
    begun = rows.map(lambda row: {"prompt": reading.bos_token + row["prompt"]})  # this trainer adds no special tokens
    model = _loaded(folder / "policy")
    return OnlineDPOTrainer(model, reward_funcs=_worth, args=config, train_dataset=begun, processing_class=reading)


def _distillation(folder: Path, reading: Any, rows: Any, common: dict[str, Any]) -> Any:
    from trl import DistillationConfig, DistillationTrainer

    config = DistillationConfig(
        **common, per_device_train_batch_size=PROMPTS * EACH, max_completion_length=TOKENS, beta=1.0,
        shuffle_dataset=False,
    )  # fmt: skip
    models = (_loaded(folder / part) for part in ("policy", "start"))
    return DistillationTrainer(*models, args=config, train_dataset=rows, processing_class=reading)


_TRAINERS = {"RLOO": _rloo, "online DPO": _online_dpo, "distillation": _distillation}


def speeds(name: str, repeats: int) -> dict[str, float]:
    """Completion tokens per second of both sides in runs of `STEPS` steps, and how many times faster ours is."""

    def mine() -> Mapping[str, float]:
        return {"run": seconds(ours(name, 0, STEPS))}

    def yours() -> Mapping[str, float]:
        made = trainer(name, 0, STEPS)
        return {"run": seconds(made.train)}

    found, first = by_turns({"ours": mine, "theirs": yours}, repeats)
    untaught = name == "distillation"  # which almost never ends a completion; the others hardly change in short runs
    length = TOKENS if untaught else yardstick("laptop", 0, "judging").start["length"]
    tokens = STEPS * PROMPTS * EACH * length
    each = {side: tokens / float(np.median(found[f"{side} run"])) for side in ("ours", "theirs")}
    return {**each, "ratio": ratio(found, "run"), "bar": BAR, "first_seconds": first["ours"]}


def main() -> None:
    """One table."""
    chosen = arguments(__doc__)
    result = {name: speeds(name, chosen.repeats) for name in RATES}
    rows = [[name, found["ours"], found["theirs"], found["ratio"]] for name, found in result.items()]
    report("alignment", ["method", "tokens/s", "TRL's", f"ratio (bar {BAR:g})"], rows, result)


if __name__ == "__main__":
    main()
