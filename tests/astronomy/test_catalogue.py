import numpy as np
import pytest

from culet.astronomy import match, read_catalogue, write_catalogue

COLUMNS = {"x": np.array([1.25, 30.0]), "flux_r": np.array([1234.5678, 2.0]), "angle": np.array([np.nan, 45.0])}


def test_csv_goes_there_and_back(tmp_path):
    write_catalogue(tmp_path / "c.csv", COLUMNS)
    text = (tmp_path / "c.csv").read_text()
    assert text.splitlines() == ["x,flux_r,angle", "1.25,1234.5678,", "30,2,45"]
    for name, values in read_catalogue(tmp_path / "c.csv").items():
        np.testing.assert_allclose(values, COLUMNS[name])
    with pytest.raises(ValueError, match=r"written as \.csv or \.fits"):
        write_catalogue(tmp_path / "c.txt", COLUMNS)
    assert [path.name for path in tmp_path.iterdir()] == ["c.csv"]


def test_matching_pairs_each_once():
    positions = np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]])
    reference = np.array([[0.9, 0.0], [0.1, 0.0], [5.0, 5.0]])
    rows, others = match(positions, reference, 2.0)
    assert rows.tolist() == [0, 1] and others.tolist() == [1, 0]
    assert match(positions, np.zeros((0, 2)), 2.0)[0].size == 0
