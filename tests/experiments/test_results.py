"""Kept results: where they are looked for, and the forms in which they are read."""

import json

import pytest

from culet.experiments import provenance, read_result, results, results_folder

OLD = {
    "slug": "gemma-2",
    "verdict": "reproduced",
    "claims": [],
    "arms": {"what": {"what": "does it well", "broken": False}},
    "different": "Everything.",
}


def test_a_result_of_older_code_is_read(tmp_path):
    (tmp_path / "gemma-2").mkdir()
    (tmp_path / "gemma-2" / "result.json").write_text(json.dumps(OLD))
    assert read_result(tmp_path, "gemma-2") == {
        "slug": "gemma-2",
        "verdict": "reproduced",
        "claims": [],
        "variants": {"what": {"description": "does it well", "broken": False}},
        "deviations": "Everything.",
    }
    assert read_result(tmp_path, "gemma-2", "control") is None
    assert read_result(tmp_path, "griffin") is None and read_result(None, "griffin") is None


@pytest.mark.parametrize("content", ["null", '{"slug": "gemma-2", "verdict": "", "claims": [], "variants": 3}'])
def test_what_is_no_result_is_named(tmp_path, content):
    (tmp_path / "gemma-2").mkdir()
    (tmp_path / "gemma-2" / "result.json").write_text(content)
    with pytest.raises(ValueError, match=r"gemma-2/result\.json: not a result of gemma-2"):
        read_result(tmp_path, "gemma-2")


def test_the_checkouts_results_come_before_the_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PACKAGE", tmp_path / "culet")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "culet")
    assert results_folder(None) == tmp_path / "culet" / "papers" / "results"
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / ".git").mkdir()
    assert results_folder(None) == tmp_path / "results"
    assert results_folder(tmp_path) == tmp_path
