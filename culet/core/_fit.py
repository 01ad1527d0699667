"""The one training loop of the house."""

import contextlib
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from culet.core.checkpoint import checkpoint_steps, restore_checkpoint, save_checkpoint
from culet.core.interrupt import Interrupted, Interrupts
from culet.core.log import RunLog, Throughput
from culet.core.mesh import place
from culet.core.progress import Progress
from culet.core.tree import named_leaves


@runtime_checkable
class Indexable(Protocol):
    """Batches by step number, counted from 0: the same step must always give the same batch."""

    def __getitem__(self, step: int, /) -> Any:
        """The batch of a step."""
        ...


class NonFiniteError(ArithmeticError):
    """The loss, or the gradient of the parameter `culprit`, was not finite at `step`."""

    def __init__(self, step: int, loss: float | int, culprit: str | None, folder: Path | None):
        source = (
            f"the first parameter whose gradient or update is not finite is {culprit}"
            if culprit
            else "no culprit known"
        )
        kept = "" if folder is None else f" The checkpoints in {folder} are from before."
        super().__init__(f"Step {step} is not finite: loss {loss}, {source}.{kept}")
        self.step = step
        self.culprit = culprit


def fit(
    step: Callable[..., tuple[Any, dict[str, Any]]],
    state: Any,
    batches: Indexable | None = None,
    *,
    steps: int,
    fixed: tuple[Any, ...] = (),
    folder: str | Path | None = None,
    checkpoint_every: int | None = None,
    keep: int = 3,
    log_every: int = 10,
    evaluate: Callable[[Any], Mapping[str, Any]] | None = None,
    evaluate_every: int | None = None,
    prepare: Callable[[Any, Any], Any] | None = None,
    mesh: Mesh | None = None,
    progress: bool = True,
    name: str = "training",
) -> Any:
    """Runs `state, metrics = step(state, batches[i], *fixed)` for i in 0..steps-1 and returns the last state.

    `step` is compiled, unless it is already, and consumes its state: the arrays of the `state` passed in must not be
    used again. What is `fixed`, a teacher say, goes to every step and is neither consumed nor saved. `metrics` holds
    scalars. `loss` and `tokens` are shown; `culprit`, an index among `jax.tree.leaves(state)` or -1, names the leaf to
    blame when something is not finite. Without `batches`, steps get None. With a `mesh`, batches are cut over its axes
    `data` and `fsdp`; place the state with `shard` before.

    `prepare(state, batch)`, which is not compiled, makes of a batch what the step gets: what the state itself has
    written, say, and what a judge thinks of it. If it raises, the state before is saved in `folder` first.

    `evaluate(state)` gives numbers by name, every `evaluate_every` steps and at the end; `progress` shows a bar under
    `name`.

    With a `folder`, the run keeps there

    * `checkpoints/`: every `checkpoint_every` steps, at the end and when stopped; the newest `keep` stay. A run whose
      folder holds one goes on from it, and ends as if it had never stopped, bit for bit;
    * `log.jsonl` and TensorBoard events: metrics every `log_every` steps and at the last one, and the numbers of
      `evaluate` as `evaluation/...`; `tokens_per_second` counts neither compilation nor evaluation nor saving;
    * `loss.png`, drawn at evaluations and when the run ends or stops.

    Raises `Interrupted` after SIGTERM or SIGINT, once the step under way is done and saved; in a run over several
    processes these agree on it at logged steps. Raises `NonFiniteError` when the `loss` of any step is not finite or a
    step names a culprit; the state of such a step is never saved. Raises `ValueError` when the folder holds a longer
    run than `steps`, and `CheckpointError` when it holds one of another state.
    """
    folder = None if folder is None else Path(folder)
    start = 0
    if folder is not None and (found := restore_checkpoint(folder / "checkpoints", state)):
        start, state = found
    if start > steps:
        raise ValueError(f"{folder} was trained for {start} steps already, more than {steps}; use another folder.")
    if start == steps:
        return state
    report = _Report(folder, [path for path, _ in named_leaves(state)])
    state = _unshared(state)
    advance = _compiled(step, state)
    with contextlib.ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        if jax.process_index() == 0:
            report.log = None if folder is None else stack.enter_context(RunLog(folder, start))
            report.bar = stack.enter_context(Progress(name, start, steps)) if progress else None
        before = None  # the metrics of the step before: looked at while the device is busy with the next one
        for done in range(start + 1, steps + 1):
            batch = None if batches is None else batches[done - 1]
            if prepare is not None:
                try:
                    batch = prepare(state, batch)
                except Exception:
                    if before is not None:
                        report.write(done - 1, report.check(done - 1, before), logged=True)
                    report.rescue(state, done - 1, keep)
                    raise
            batch = batch if mesh is None or batch is None else place(batch, mesh)
            state, metrics = advance((batch, fixed), state)
            if before is not None:
                report.write(done - 1, report.check(done - 1, before), _due(done - 1, log_every, steps))
            before = metrics
            logging = _due(done, log_every, steps)
            stopping = _agreed(interrupts.requested, logging)
            evaluating = evaluate is not None and _due(done, evaluate_every, steps)
            saving = folder is not None and (stopping or _due(done, checkpoint_every, steps))
            if not (saving or evaluating or stopping or done == steps):
                continue
            values, before = report.check(done, metrics), None
            if evaluating and evaluate is not None:
                values |= {f"evaluation/{key}": float(value) for key, value in evaluate(state).items()}
            report.write(done, values, logging or evaluating)
            report.sync(plot=evaluating or stopping or done == steps)
            if saving and folder is not None:  # only now: a checkpoint must not be newer than the log
                save_checkpoint(folder / "checkpoints", done, state, keep=keep)
            report.throughput.resume()
            if stopping:
                raise Interrupted(done, folder)
    return state


class _Report:
    """Checks the metrics of each step and tells of them: on the bar, and in the log where due."""

    log: RunLog | None = None
    bar: Progress | None = None

    def __init__(self, folder: Path | None, leaves: list[str]):
        self.folder = folder
        self.leaves = leaves
        self.throughput = Throughput()

    def check(self, step: int, metrics: dict[str, Any]) -> dict[str, float | int]:
        """Waits for the metrics of a step and gives them as numbers."""
        values = {}
        for key, value in jax.device_get(metrics).items():
            if np.size(value) != 1:
                raise ValueError(f"Metric {key!r} has the shape {np.shape(value)}; `fit` takes scalars.")
            values[key] = np.asarray(value).item()
        culprit = int(values.pop("culprit", -1))
        loss = values.get("loss", 0.0)
        if culprit >= 0 or not math.isfinite(loss):
            raise NonFiniteError(step, loss, self.leaves[culprit] if culprit >= 0 else None, self.folder)
        self.throughput.count(values.get("tokens", 0.0))
        return values

    def write(self, step: int, values: dict[str, float | int], logged: bool) -> None:
        rate = self.throughput.rate
        if self.bar:
            self.bar.update(step, values.get("loss"), rate)
        if logged:
            if self.log:
                self.log.write(step, values if rate is None else values | {"tokens_per_second": rate})
            self.throughput.restart()

    def rescue(self, state: Any, step: int, keep: int) -> None:
        """Saves a state that was not due to be saved, unless there is nothing new in it."""
        if self.folder is not None and step not in (0, *checkpoint_steps(self.folder / "checkpoints")):
            self.sync(plot=False)
            save_checkpoint(self.folder / "checkpoints", step, state, keep=keep)

    def sync(self, plot: bool) -> None:
        if self.log:
            self.log.sync()
            if plot:
                self.log.plot()


def _due(done: int, every: int | None, steps: int) -> bool:
    return done == steps or (every is not None and done % every == 0)


def _agreed(requested: bool, meeting: bool) -> bool:
    """Whether to stop: signals reach processes at different steps, so several of them vote when they meet."""
    if jax.process_count() == 1:
        return requested
    if not meeting:
        return False
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(requested))))


def _unshared(state: Any) -> Any:
    """The state with an own copy for each array that stands in it twice, for memory can be given away only once."""
    seen: set[int] = set()

    def own(leaf: Any) -> Any:
        twice = id(leaf) in seen
        seen.add(id(leaf))
        return jnp.copy(leaf) if twice and isinstance(leaf, jax.Array) else leaf

    return jax.tree.map(own, state)


def _compiled(step: Callable[..., Any], state: Any) -> Callable[[Any, Any], Any]:
    """`advance((batch, fixed), state)`: reuses the memory of the state, leaves each array where it is on the mesh."""
    if hasattr(step, "lower"):
        return lambda inputs, state: step(state, inputs[0], *inputs[1])
    return _advance(step, tuple(getattr(leaf, "sharding", None) for leaf in jax.tree.leaves(state)))


@functools.lru_cache(maxsize=8)
def _advance(step: Callable[..., Any], places: tuple[Any, ...]) -> Callable[[Any, Any], Any]:
    """Compiled once for the same step: runs of many seeds share it."""

    def stay(leaf: Any, place: Any) -> Any:
        return jax.lax.with_sharding_constraint(leaf, place) if isinstance(place, NamedSharding) else leaf

    def advance(inputs: Any, state: Any) -> Any:
        state, metrics = step(state, inputs[0], *inputs[1])
        leaves, tree = jax.tree.flatten(state)
        return jax.tree.unflatten(tree, [stay(*pair) for pair in zip(leaves, places, strict=True)]), metrics

    return eqx.filter_jit(advance, donate="all-except-first")
