import json
import signal
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from culet import core
from culet.core.log import read_log
from tests.core.toy import PLAIN_STEP, setup

QUIET: Any = {"progress": False}


def same(a, b):
    """Whether two states are equal bit for bit."""

    def plain(x):
        return np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)

    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(plain(x).tobytes() == plain(y).tobytes() for x, y in pairs)


def log(folder):
    """The log without what the clock wrote."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("time", "tokens_per_second")} for row in rows]


def test_is_the_plain_loop(tmp_path):
    step, state, batches = setup()
    rows = []
    for i in range(7):
        state, metrics = step(state, batches[i])
        rows.append(metrics)
    _, fresh, _ = setup()
    seen = []
    done, history = core.fit(
        PLAIN_STEP,  # left for `fit` to compile
        fresh,
        batches,
        steps=7,
        folder=tmp_path,
        log_every=3,
        evaluate=lambda state: seen.append(int(state.step)) or {"loss": 0.5},
        evaluate_every=5,
        **QUIET,
    )
    for a, b in zip(jax.tree.leaves(state.model), jax.tree.leaves(done.model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    written = log(tmp_path)
    assert [row["step"] for row in written] == [3, 5, 6, 7]
    assert [row["step"] for row in written if "evaluation/loss" in row] == seen == [5, 7]
    np.testing.assert_allclose([row["loss"] for row in written], [rows[i - 1]["loss"] for i in (3, 5, 6, 7)], rtol=1e-5)
    assert written[0]["tokens"] == batches[2]["weights"].sum()
    assert history == read_log(tmp_path / "log.jsonl")
    assert all(row["tokens_per_second"] > 0 for row in history)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert core.checkpoint_steps(tmp_path / "checkpoints") == [7]


def test_learns_and_resumes_bit_equal(tmp_path):
    step, state, batches = setup()
    whole, history = core.fit(step, state, batches, steps=30, folder=tmp_path / "whole", log_every=5, **QUIET)
    for steps in (11, 30, 30):
        step, state, batches = setup()
        parts, parts_history = core.fit(
            step, state, batches, steps=steps, folder=tmp_path / "parts", log_every=5, checkpoint_every=4, **QUIET
        )
    assert same(whole, parts)
    assert parts_history == read_log(tmp_path / "parts/log.jsonl")  # though nothing was left to do the third time
    assert [row["step"] for row in parts_history] == [5, 10, 11, 15, 20, 25, 30]
    assert history[1]["loss"] == parts_history[1]["loss"]
    assert log(tmp_path / "whole") == [row for row in log(tmp_path / "parts") if row["step"] != 11]
    assert core.checkpoint_steps(tmp_path / "parts/checkpoints") == [24, 28, 30]
    first, *_, last = log(tmp_path / "whole")
    assert last["loss"] < 0.8 * first["loss"]


def test_lines_beyond_the_checkpoint_are_written_again(tmp_path):
    step, state, batches = setup()
    core.fit(step, state, batches, steps=4, folder=tmp_path, log_every=1, **QUIET)
    before = log(tmp_path)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 5, "loss": 1e9}\n{"step": 6, "los')
    step, state, batches = setup()
    core.fit(step, state, batches, steps=6, folder=tmp_path, log_every=1, **QUIET)
    assert [row["step"] for row in log(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert log(tmp_path)[:4] == before
    assert log(tmp_path)[4]["loss"] < 10


def test_a_folder_that_went_further_is_refused(tmp_path):
    step, state, batches = setup()
    core.fit(step, state, batches, steps=4, folder=tmp_path, **QUIET)
    step, state, batches = setup()
    with pytest.raises(ValueError, match="trained for 4 steps already, more than 3"):
        core.fit(step, state, batches, steps=3, folder=tmp_path, **QUIET)


class Poisoned:
    """Batches of which one gives the weights of a document as NaN."""

    def __init__(self, batches, step):
        self.batches = batches
        self.step = step

    def __getitem__(self, step):
        batch = self.batches[step]
        return batch | {"weights": batch["weights"] * np.float32(np.nan)} if step == self.step else batch


@pytest.mark.parametrize("log_every", [1, 100])
def test_nan_loss_stops_with_step_and_culprit(tmp_path, log_every):
    step, state, batches = setup()
    with pytest.raises(core.NonFiniteError, match=r"Step 6 is not finite: loss nan.* is model\.embedding\.") as caught:
        core.fit(
            step,
            state,
            Poisoned(batches, 5),
            steps=9,
            folder=tmp_path,
            log_every=log_every,
            checkpoint_every=2,
            **QUIET,
        )
    assert caught.value.step == 6
    assert caught.value.culprit == "model.embedding"
    assert core.checkpoint_steps(tmp_path / "checkpoints") == [2, 4]
    assert all(row["step"] < 6 for row in log(tmp_path))
    step, state, batches = setup()
    healed, _ = core.fit(step, state, batches, steps=9, folder=tmp_path, **QUIET)
    step, state, batches = setup()
    assert same(healed, core.fit(step, state, batches, steps=9, **QUIET)[0])


def test_the_culprit_is_the_leaf_with_the_bad_gradient():
    def loss(model, batch, key):  # the gradient of sqrt at 0 is infinite, its value is not
        return jnp.sqrt(model["b"]) + model["a"] * 2 + model["c"], jnp.ones(()), {}

    optimizer = core.adamw(0.1)
    step = core.training_step(loss, optimizer)
    model = {"a": jnp.ones(()), "b": jnp.zeros(()), "c": jnp.ones(())}
    state = core.TrainState.create(model, optimizer, jax.random.key(0))
    with pytest.raises(core.NonFiniteError, match=r"loss 3.0, .* is model\.b\."):
        core.fit(step, state, steps=3, **QUIET)


def test_a_step_of_any_kind():
    """No batches, own state, arrays that stand in it twice, a step compiled by the caller."""

    def step(state, batch):
        assert batch is None
        return {"x": state["x"] + 1, "y": state["y"] * 2}, {}

    for given in (step, jax.jit(step)):
        one = jnp.ones(3)
        done, _ = core.fit(given, {"x": one, "y": one}, steps=4, **QUIET)
        np.testing.assert_array_equal(done["x"], np.full(3, 5.0))
        np.testing.assert_array_equal(done["y"], np.full(3, 16.0))


def test_every_step_is_checked_while_the_next_one_runs():
    """The metrics of a step are fetched only once the device has the next step to do."""
    order = []

    class Loss:
        def __init__(self, step):
            self.step = step

        def __array__(self, *_, **__):
            order.append(f"look at {self.step}")
            return np.zeros(())

    class Step:
        lower = None  # as if compiled already

        def __call__(self, state, batch):
            order.append(f"run {state + 1}")
            return state + 1, {"loss": Loss(state + 1)}

    assert core.fit(Step(), 0, steps=3, log_every=100, **QUIET)[0] == 3
    assert order == ["run 1", "run 2", "look at 1", "run 3", "look at 2", "look at 3"]


def decay(state, batch):
    """One step of gradient descent for each seed of a vmap on x²/2; the unit is counted for each of them."""
    return state - batch * state, {"loss": state**2 / 2, "documents": jnp.full(state.shape, 3.0), "one": state[0]}


def test_vectors_have_an_entry_per_seed(tmp_path, capfd):
    start, rates = jnp.array([1.0, -2.0, 4.0]), [jnp.float32(0.5)] * 6
    options: dict[str, Any] = {
        "log_every": 2, "unit": "documents", "evaluate_every": 6, "evaluate": lambda x: {"loss": 2 * x}
    }  # fmt: skip
    state, alone = core.fit(decay, start + 0, rates, steps=6, **QUIET, **options)
    np.testing.assert_array_equal(state, np.array(start) / 64)
    assert [row["loss"] for row in alone] == [(np.array(start) ** 2 / 2 / 4 ** (n - 1)).tolist() for n in (2, 4, 6)]
    assert [row["one"] for row in alone] == [0.5, 0.125, 0.03125]
    assert alone[-1]["evaluation/loss"] == [2 / 64, -4 / 64, 8 / 64]
    for steps in (4, 6):
        _, history = core.fit(decay, start + 0, rates, steps=steps, folder=tmp_path, checkpoint_every=2, **options)
    assert "documents/s" in capfd.readouterr().err
    assert history == read_log(tmp_path / "log.jsonl")
    assert all(row["documents_per_second"] > 0 and "tokens_per_second" not in row for row in history)
    clock = ("time", "documents_per_second")
    (first, second) = ([{k: v for k, v in row.items() if k not in clock} for row in rows] for rows in (alone, history))
    assert [row for row in second if row["step"] != 4] == [row for row in first if row["step"] != 4]
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_an_entry_that_is_not_finite_is_named(bad):
    state = jnp.array([1.0, 1.0, bad, 1.0])
    with pytest.raises(core.NonFiniteError, match=r"Step 1 is not finite in entry 2: loss (nan|inf)") as caught:
        core.fit(decay, state, [jnp.float32(0)] * 3, steps=3, **QUIET)
    assert (caught.value.step, caught.value.entry, caught.value.culprit) == (1, 2, None)

    def step(state, batch):
        return state, {"loss": jnp.ones(3), "culprit": jnp.array([-1, 0, 1])}

    with pytest.raises(core.NonFiniteError, match=r"in entry 1: loss 1.0, .* is a\."):
        core.fit(step, {"a": jnp.ones(3), "b": jnp.ones(3)}, steps=3, **QUIET)


def test_metrics_are_scalars_or_vectors():
    with pytest.raises(ValueError, match=r"'loss' has the shape \(2, 1\)"):
        core.fit(lambda state, batch: (state, {"loss": jnp.ones((2, 1))}), {"x": jnp.ones(())}, steps=2, **QUIET)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_leaves(tmp_path, number):
    step, state, batches = setup()
    before = signal.getsignal(number)

    class Signalling:
        def __getitem__(self, i):
            if i == 4:
                signal.raise_signal(number)
            return batches[i]

    with pytest.raises(core.Interrupted, match="after step 5; saved in") as caught:
        core.fit(step, state, Signalling(), steps=9, folder=tmp_path, log_every=2, **QUIET)
    assert caught.value.step == 5
    assert signal.getsignal(number) is before
    assert core.checkpoint_steps(tmp_path / "checkpoints") == [5]
    step, state, batches = setup()
    parts, _ = core.fit(step, state, batches, steps=9, folder=tmp_path, log_every=2, **QUIET)
    step, state, batches = setup()
    assert same(parts, core.fit(step, state, batches, steps=9, **QUIET)[0])
    assert [row["step"] for row in log(tmp_path)] == [2, 4, 6, 8, 9]


def test_runs_in_a_thread():
    step, state, batches = setup()
    done = []
    thread = threading.Thread(target=lambda: done.append(core.fit(step, state, batches, steps=2, **QUIET)[0]))
    thread.start()
    thread.join()
    assert int(done[0].step) == 2


def test_the_bar_shows_step_loss_and_speed(capfd):
    step, state, batches = setup()
    core.fit(step, state, batches, steps=3, name="a toy")
    shown = capfd.readouterr().err
    assert all(word in shown for word in ("a toy", "3/3", "loss 2.", "tokens/s"))


def test_a_batch_is_prepared_with_the_state_and_a_failure_loses_nothing(tmp_path):
    def step(state, batch):
        return state + batch, {"loss": state}

    def prepare(state, batch):
        if float(state) > 10 and not mended:
            raise ConnectionError("no answer")
        return 2 * state + batch

    mended = []
    settings: dict[str, Any] = {"steps": 5, "prepare": prepare, "folder": tmp_path, "progress": False}
    with pytest.raises(ConnectionError, match="no answer"):
        core.fit(step, jnp.float32(0), [jnp.float32(1)] * 5, **settings)
    assert core.checkpoint_steps(tmp_path / "checkpoints") == [3]  # 0, 1, 4, 13: not a multiple of anything
    mended.append(True)
    assert float(core.fit(step, jnp.float32(0), [jnp.float32(1)] * 5, **settings)[0]) == 121
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == [3, 5]
