import json

import numpy as np
import pytest

from culet.experiments import provenance, run_experiment
from culet.experiments.experiment import Variant
from tests.experiments.tiny_experiment import Calls, figure, tiny


def run(experiment, folder, seeds=3, **options):
    return run_experiment(experiment, seeds=seeds, scale="smoke", folder=folder, progress=False, **options)


def with_variant(calls, name, error=0.5, **extra):
    experiment = tiny(calls)
    variants = {**experiment.variants, "method": Variant(description="", run=calls.variant(name, error, **extra))}
    return tiny(calls, variants=variants)


def test_result_is_whole(tmp_path):
    calls = Calls()
    result = run(tiny(calls), tmp_path)
    assert result["verdict"] == "reproduced"
    (claim,) = result["claims"]
    np.testing.assert_allclose(claim["values"], [0.5, 0.5, 0.5])
    error = result["variants"]["method"]["metrics"]["error"]
    np.testing.assert_allclose(error["values"], [0.5, 0.51, 0.52])
    np.testing.assert_allclose([error["mean"], *error["interval"]], [0.51, 0.5, 0.52])
    assert result["variants"]["method"]["budget"] == [100, 100, 100]
    assert result["commit"] is None or len(result["commit"].removesuffix("-dirty")) == 40
    assert result["versions"]["numpy"] == np.__version__
    assert result["seeds"] == [0, 1, 2] and result["scale"] == "smoke" and result["machine"]["cores"] >= 1
    kept = json.loads((tmp_path / "result.json").read_text())
    assert kept == json.loads(json.dumps(result))
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "files" / "a tone.wav").read_bytes() == b"RIFF"
    assert ("all at once", 2) in calls and len(calls) == 9


@pytest.mark.parametrize("gain, seeds, verdict", [(0.0, 3, "not reproduced"), (0.5, 1, "undecided")])
def test_verdicts(tmp_path, gain, seeds, verdict):
    assert run(tiny(Calls(), gain), tmp_path, seeds)["verdict"] == verdict


def test_an_interrupted_experiment_goes_on_after_the_last_finished_call(tmp_path):
    calls = Calls()

    class Stop(Exception):
        pass

    def stops(seeds, scale):
        if seeds[0] == 1:
            raise Stop
        return calls.variant("method", 0.5)(seeds, scale)

    whole = tiny(calls)
    with pytest.raises(Stop):
        run(tiny(calls, variants={**whole.variants, "method": Variant(description="", run=stops)}), tmp_path)
    assert calls == [("method", 0)]
    result = run(whole, tmp_path)
    assert calls.count(("method", 0)) == 1 and len(calls) == 9
    assert run(whole, tmp_path)["variants"] == result["variants"]
    assert len(calls) == 9  # all were kept
    assert len(list((tmp_path / "calls").glob("*.npz"))) == 7


def test_the_control_runs_only_what_is_broken(tmp_path):
    calls = Calls()
    experiment = tiny(calls)
    run(experiment, tmp_path)
    calls.clear()
    control = run(experiment, tmp_path, control=True)
    assert calls == [("broken", 0), ("broken", 1), ("broken", 2)]
    assert control["verdict"] == "not reproduced" and control["variants"]["method"]["broken"]
    assert json.loads((tmp_path / "result.json").read_text())["verdict"] == "reproduced"
    assert (tmp_path / "control.json").exists() and (tmp_path / "control.png").exists()


@pytest.mark.parametrize("damage", ["code", "file"])
def test_calls_of_other_code_and_damaged_ones_are_made_again(tmp_path, monkeypatch, damage):
    calls = Calls()
    run(tiny(calls), tmp_path)
    if damage == "code":
        monkeypatch.setattr(provenance, "fingerprint", lambda: "other code")
    else:
        for file in (tmp_path / "calls").iterdir():
            file.write_bytes(file.read_bytes()[:100])
    run(tiny(calls), tmp_path)
    assert len(calls) == 18


def test_arrays_are_kept_as_they_were(tmp_path):
    found = []
    experiment = tiny(Calls(), figure=lambda findings: found.append(findings) or figure(findings))
    run(experiment, tmp_path)
    run(experiment, tmp_path)
    first, second = (list(findings["method"].items()) for findings in found)
    for (name, array), (other, again) in zip(first, second, strict=True):
        assert name == other
        np.testing.assert_array_equal(array, again, strict=True)


def test_unequal_budgets_are_named(tmp_path):
    with pytest.raises(ValueError, match="at seed 0: 'method' 102, 'base/line' 100 steps"):
        run(with_variant(Calls(), "method", budget=102), tmp_path)
    run(with_variant(Calls(), "method", budget=100.9), tmp_path / "near")
    reference = tiny(Calls())
    variants = {
        **reference.variants,
        "ceiling": Variant(description="", run=Calls().variant("ceiling", 0.0, budget=9), equal_budget=False),
    }
    run(tiny(Calls(), variants=variants), tmp_path / "reference")


def test_a_missing_budget_is_named(tmp_path):
    variants = {
        **tiny(Calls()).variants,
        "method": Variant(description="", run=lambda seeds, scale: {"error": np.zeros(len(seeds))}),
    }
    with pytest.raises(ValueError, match="'method' reports no 'budget', in steps"):
        run(tiny(Calls(), variants=variants), tmp_path)


def test_what_is_not_finite_is_an_error_and_not_kept(tmp_path):
    with pytest.raises(ArithmeticError, match="'method': 'error' is not finite"):
        run(with_variant(Calls(), "method", error=float("nan")), tmp_path)
    assert not (tmp_path / "calls").exists() and not (tmp_path / "result.json").exists()


@pytest.mark.parametrize("value", [np.zeros(2), np.array(["words"]), np.float32(0.5)])
def test_measurements_must_be_numbers_by_seed(tmp_path, value):
    variants = {
        **tiny(Calls()).variants,
        "method": Variant(description="", run=lambda seeds, scale: {"error": value, "budget": [1]}),
    }
    with pytest.raises(ValueError, match=r"variant 'method': 'error' is .* first axis of 1"):
        run(tiny(Calls(), variants=variants), tmp_path, seeds=1)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"control": {"other": Variant(description="", run=Calls().variant("other", 1.0))}},
            "breaks other, which is no variant",
        ),
        ({"control": {}}, "needs a claim, and a control"),
        ({"files": lambda findings: {"../outside": b""}}, "plain name"),
    ],
)
def test_an_experiment_that_is_not_one(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        run(tiny(Calls(), **changes), tmp_path)
