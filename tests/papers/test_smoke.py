"""Every experiment runs, and so does its control. What they find at this scale says nothing of a paper."""

import json

import pytest

from culet.experiments import run_experiment
from culet.papers import built, find_experiment


@pytest.mark.parametrize("slug", built())
def test_experiment_and_control_run(slug, tmp_path):
    experiment = find_experiment(slug)
    main = experiment.metrics[0].name
    for control, name in ((False, "result"), (True, "control")):
        run_experiment(experiment, seeds=2, scale="smoke", folder=tmp_path, control=control, progress=False)
        result = json.loads((tmp_path / f"{name}.json").read_text())
        assert result["slug"] == slug and len(result["claims"]) == len(experiment.claims)
        assert all(len(claim["values"]) == 2 for claim in result["claims"])
        assert any(main in variant["metrics"] for variant in result["variants"].values())
        assert [key for key, variant in result["variants"].items() if variant["broken"]] == list(
            experiment.control
        ) * control
        assert (tmp_path / result["figure"]).stat().st_size > 5000  # a picture, not an empty one
        assert all((tmp_path / "files" / file).exists() for file in result["files"])
