import importlib
import json
from typing import Any

import pytest

from culet.core.log import RunLog, Throughput, read_log

events_of: Any = importlib.import_module("tensorboardX.proto.event_pb2")  # its classes are made at import


def events(folder):
    """`(step, tag, value)` from TensorBoard's files: 8 bytes of length, 4 of checksum, the event, 4 of checksum."""
    listed = []
    for path in sorted(folder.glob("events*")):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            event = events_of.Event.FromString(data[12 : 12 + size])
            listed += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            data = data[16 + size :]
    return listed


def test_lines_events_and_plot(tmp_path):
    with RunLog(tmp_path, 0) as log:
        log.write(1, {"loss": 2.5, "odd": float("inf")})
        log.write(2, {"loss": 1.5, "evaluation/loss": 1.75})
        log.sync()
        log.plot()
    first, second = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert (first["step"], first["loss"], first["odd"]) == (1, 2.5, None)
    assert second["evaluation/loss"] == 1.75
    assert {(1, "loss", 2.5), (2, "loss", 1.5), (2, "evaluation/loss", 1.75)} <= set(events(tmp_path))
    assert (tmp_path / "loss.png").exists()


def test_of_a_vector_the_mean_and_each_entry(tmp_path):
    with RunLog(tmp_path, 0) as log:
        log.write(1, {"loss": [1.0, 2.0, 4.5]})
        log.write(2, {"loss": [1.0, 2.0, 6.0], "evaluation/loss": [float("nan"), 2.0]})
        log.plot()
    assert [row["loss"] for row in log.rows] == [[1.0, 2.0, 4.5], [1.0, 2.0, 6.0]]
    assert read_log(tmp_path / "log.jsonl") == log.rows and log.rows[1]["evaluation/loss"] == [None, 2.0]
    assert {(1, "loss", 2.5), (1, "loss/0", 1.0), (1, "loss/2", 4.5), (2, "loss", 3.0)} <= set(events(tmp_path))
    assert (tmp_path / "loss.png").exists()


def test_without_a_folder_rows_are_kept(tmp_path):
    with RunLog(None, 0) as log:
        log.write(1, {"loss": float("nan")})
        log.sync()
        log.plot()
    assert [(row["step"], row["loss"]) for row in log.rows] == [(1, None)]
    with RunLog(tmp_path, 0) as first:
        first.write(1, {"loss": 1.0})
    with RunLog(tmp_path, 1, write=False) as second:  # as the other processes of a run do
        second.write(2, {"loss": 0.5})
    assert [row["loss"] for row in second.rows] == [1.0, 0.5]
    assert read_log(tmp_path / "log.jsonl") == first.rows


def test_resuming_drops_later_and_broken_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 2.0}\n[]\n{"step": 3, "loss": 3.0}\n{"step": 4, "l')
    with RunLog(tmp_path, 2):
        assert [row["step"] for row in read_log(path)] == [1, 2]
    assert read_log(tmp_path / "none.jsonl") == []


def test_throughput_counts_steps_and_nothing_else(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("culet.core.log.time.perf_counter", lambda: now[0])
    meter = Throughput()
    now[0] = 30.0  # compilation
    meter.count(100)
    assert meter.rate is None
    now[0] = 32.0
    meter.count(100)
    now[0] = 99.0  # evaluation
    meter.resume()
    now[0] = 101.0
    meter.count(300)
    assert meter.rate == pytest.approx(400 / 4)
    meter.restart()
    assert meter.rate is None
