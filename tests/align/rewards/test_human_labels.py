"""The area under the curve against counting, and human labels as they stand in their files."""

import gzip
import json
import os
from collections import Counter

import numpy as np
import pytest

from culet.align.rewards import HUMAN_SETS, Statement, area_under_curve, human_statements


@pytest.mark.parametrize("seed", range(4))
def test_the_area_is_the_share_of_pairs_in_order_with_ties_counted_half(seed):
    random = np.random.default_rng(seed)
    positive = random.random(40) < 0.4
    scores = np.round(random.normal(size=40) + positive, seed).astype(np.float32)  # many ties where rounded to wholes
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    assert area_under_curve(scores, positive) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert area_under_curve(-scores, positive) == pytest.approx(1 - np.mean(pairs), abs=1e-12)
    assert area_under_curve(np.exp(scores), positive) == area_under_curve(scores, positive)


def test_the_area_by_hand():
    positive = np.array([True, False, True, False])
    assert area_under_curve(np.array([2.0, 1.0, 4.0, 3.0]), positive) == 0.75
    assert area_under_curve(np.array([-np.inf, 0.0, np.inf, 0.0]), positive) == 0.5
    assert area_under_curve(np.zeros(4), positive) == 0.5


def test_what_has_no_area():
    with pytest.raises(ValueError, match="needs positive and negative"):
        area_under_curve(np.zeros(3), np.ones(3, bool))
    with pytest.raises(ValueError, match="needs positive and negative"):
        area_under_curve(np.zeros(3), np.zeros(3, bool))
    with pytest.raises(ValueError, match="score 1 is NaN"):
        area_under_curve(np.array([0, np.nan]), np.array([True, False]))


def put(folder, name, text):
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(gzip.compress(text.encode()))


def test_files_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("CULET_DATA", str(tmp_path))
    judged = [{"sentence": "s", "responses": [{"response": said} for said in ("yes", "no", "yes")]}]
    put(tmp_path, "qags/mturk_xsum.jsonl.gz", json.dumps({"article": "a", "summary_sentences": judged}) + "\n")
    assert human_statements("qags-xsum") == [Statement(premise="a", hypothesis="s", label=2 / 3)]
    lines = ["index\tsentence1\tsentence2\tlabel", '0\t"Yes, he said.\tYes.\tentailment', "1\tp\th\tnot_entailment", ""]
    put(tmp_path, "rte/dev.tsv.gz", "\n".join(lines))
    first = Statement(premise='"Yes, he said.', hypothesis="Yes.", label=1.0)
    assert human_statements("rte-dev") == [first, Statement(premise="p", hypothesis="h", label=0.0)]
    put(tmp_path, "rte/train.tsv.gz", "a\tb\n1\t2\n")
    with pytest.raises(ValueError, match="the file of rte-train has no field 'label'"):
        human_statements("rte-train")
    with pytest.raises(FileNotFoundError, match=r"MED\.tsv\.gz"):
        human_statements("med")
    with pytest.raises(ValueError, match="no set of human labels is called 'snli'; there are qags-cnndm,"):
        human_statements("snli")
    monkeypatch.delenv("CULET_DATA")
    with pytest.raises(FileNotFoundError, match=r"set CULET_DATA to a folder that holds rte/dev\.tsv\.gz"):
        human_statements("rte-dev")


COUNTS = {  # those that follow and those that do not, by the sources' own count
    "qags-cnndm": (531, 183),
    "qags-xsum": (116, 123),
    "begin-wow-dev": (180, 250),
    "begin-wow-test": (1392, 2209),
    "rte-train": (1249, 1241),
    "rte-dev": (146, 131),
    "med": (2705, 2677),
}


@pytest.mark.parametrize("name", HUMAN_SETS)
def test_the_published_counts(name):
    if not os.environ.get("CULET_DATA"):
        pytest.skip("set CULET_DATA to the folder of public data sets")
    found = Counter(statement.label > 0.5 for statement in human_statements(name))
    assert (found[True], found[False]) == COUNTS[name]
