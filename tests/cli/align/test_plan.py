"""Plans from files, flags and settings; each that cannot be carried out says why before anything is loaded."""

import pytest

from culet.align.methods import JBond, Likelihood, Reinforce
from culet.align.rewards import Answer
from culet.cli.align.plan import read_plan
from culet.cli.align.sources import JUDGES, METHODS, REWARDS, build

TOML = """
model = "m"
prompts = "p.jsonl"
out = "o"
method = { name = "j-bond", gamma = 0.5 }

[reward]
name = "length-near"
target = 5

[evaluator]
name = "matches"
pattern = "cat"

[recipe]
steps = 7
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(TOML)
    return path


def flags(**others):
    return {"model": "m", "prompts": "p", "out": "o", "method": "reinforce", "reward": "length-near"} | others


def test_a_file_is_read_and_flags_and_settings_go_over_it(file):
    plan = read_plan(file, {}, [])
    assert plan.align_method() == JBond(gamma=0.5)
    assert plan.align_recipe().steps == 7
    plan = read_plan(file, {"method": "reinforce", "chat": None}, ["method.samples=3", "recipe.steps=9", "column=text"])
    assert plan.align_method() == Reinforce(samples=3)
    assert (plan.align_recipe().steps, plan.column, plan.chat) == (9, "text", False)


def test_whole_numbers_are_numbers(file):
    recipe = read_plan(file, {}, ["recipe.learning_rate=1", "recipe.top_p=1", "recipe.top_k=5"]).align_recipe()
    found = [(value, type(value)) for value in (recipe.learning_rate, recipe.top_p, recipe.top_k)]
    assert found == [(1.0, float), (1.0, float), (5, int)]


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (flags(), ["reward.target=3"], "the evaluator equals the training reward: reward hacking would go unseen"),
        (flags(), [], "reward length-near needs 'target'"),
        (flags(method="magic"), ["reward.target=3"], "method 'magic' is unknown; there are adversarial, best-of-n"),
        (flags(), ["reward.target=3", "reward.colour=3"], "has no setting 'colour'; it takes target, unit"),
        (flags(), ["reward.target=3", "same_judge=true", "recipe.stepz=3"], r"\[recipe\] has no setting 'stepz'"),
        (flags(judge="model-judge"), ["reward.target=3", "judge.folder=j", "same_judge=true"], "learns from one"),
        (flags(), ["nonsense"], "--set takes KEY=VALUE"),
        (flags(), ["a.b.c=1"], "--set takes KEY=VALUE"),
        (flags(), ["model.x=1"], "'model' has no settings"),
        (flags(), ["colour=1"], "unknown key 'colour'"),
        (flags(model=None), [], "the plan has no 'model'"),
        (flags(), ["method=1"], r"\[method\] must be a table"),
        (flags(method="preferences"), ["reward.target=3", "method.form=dop", "same_judge=true"], "dop"),
        (flags(), ["reward.target=3", "same_judge=true", "method.beta=x"], "wrong kind"),
    ],
    ids=str,
)
def test_what_is_wrong_is_an_error(given, settings, message):
    with pytest.raises(ValueError, match=message):
        read_plan(None, given, settings)


def test_what_is_no_toml_is_an_error(tmp_path):
    (tmp_path / "plan.toml").write_text("model = ")
    with pytest.raises(ValueError, match=r"plan\.toml: not TOML"):
        read_plan(tmp_path / "plan.toml", {}, [])
    with pytest.raises(FileNotFoundError):
        read_plan(tmp_path / "none.toml", {}, [])


def test_a_run_goes_on_only_with_its_own_plan(tmp_path):
    settings = ["reward.target=3", "same_judge=true"]
    plan = read_plan(None, flags(out=str(tmp_path)), settings)
    plan.keep()
    plan.keep()
    with pytest.raises(ValueError, match=r"holds a run with another plan \(recipe differ\)"):
        read_plan(None, flags(out=str(tmp_path)), [*settings, "recipe.steps=9"]).keep()


def test_the_reference_model_may_have_its_old_name(tmp_path):
    """Plans and folders of runs from before it was renamed are still read."""
    settings = ["reward.target=3", "same_judge=true"]
    old, new = ([*settings, f"recipe.{name}=0.5"] for name in ("anchor_rate", "reference_rate"))
    plan = read_plan(None, flags(out=str(tmp_path)), old)
    assert plan == read_plan(None, flags(out=str(tmp_path)), new) and plan.align_recipe().reference_rate == 0.5
    plan.keep()
    kept = tmp_path / "plan.json"
    kept.write_text(kept.read_text().replace("reference_rate", "anchor_rate"))
    plan.keep()
    assert "anchor" not in kept.read_text()
    drawn = read_plan(None, flags(method="likelihood"), [*settings, "method.source=anchor"]).align_method()
    assert drawn == Likelihood(source="reference")


def test_every_method_can_be_named_with_its_own_settings():
    for name in METHODS:
        assert build({"name": name}, METHODS, "method").sources(0)


def test_rewards_add_up_and_become_judges():
    answers = [Answer(prompt="", text=text, tokens=1) for text in ("a cat", "two red cats")]
    parts = [{"name": "length-near", "target": 2}, {"name": "matches", "pattern": "cats", "weight": 3.0}]
    reward = build({"name": "weighted", "parts": parts}, REWARDS, "reward")
    assert reward(answers).tolist() == [0.0, 2.5]
    judge = build(
        {"name": "reward-judge", "reward": {"name": "matches", "pattern": "cats"}, "temperature": 0}, JUDGES, "judge"
    )
    assert judge(answers[:1], answers[1:]).tolist() == [0.0]
