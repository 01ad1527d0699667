"""The training loop: `fit` runs a step again and again, with progress, logs, evaluation and checkpoints."""

import contextlib
import functools
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
from culet.core.log import RunLog, Throughput, Value
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
    """The loss, or the gradient or update of a parameter, was not finite at `step`.

    `culprit` is the name of that parameter, None where the step named none; `entry` is the index in the
    metrics that are vectors, None where they are scalars.
    """

    def __init__(
        self, step: int, loss: float | int, culprit: str | None, folder: Path | None, entry: int | None = None
    ):
        where = "" if entry is None else f" in entry {entry}"
        source = (
            f"the first parameter whose gradient or update is not finite is {culprit}"
            if culprit
            else "the step did not say which parameter"
        )
        kept = "" if folder is None else f" The checkpoints in {folder} are from before."
        super().__init__(f"Step {step} is not finite{where}: loss {loss}, {source}.{kept}")
        self.step = step
        self.culprit = culprit
        self.entry = entry


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
    unit: str = "tokens",
    jit: bool = True,
) -> tuple[Any, list[dict[str, Any]]]:
    """Runs `state, metrics = step(state, batches[i], *fixed)` for i in 0..steps-1; returns the last state, and history.

    `step` is compiled, unless it is already or `jit` is False (for a step that is not one program), and consumes its
    state: the arrays of the `state` passed in must not be used again. `fixed` arguments, such as a teacher, go to every
    step and are neither consumed nor saved. Without `batches`, steps get None. With a `mesh`, batches are cut over its
    axes `data` and `fsdp`; place the state with `shard` before.

    `metrics` holds scalars, or vectors with one entry per seed or setting of a `vmap`. `loss` is shown, a vector by its
    mean, and must be finite in each entry. The metric named `unit` is what the step got through (tokens, documents,
    environment steps), and is shown per second; a vector is summed. `culprit` is the index among
    `jax.tree.leaves(state)` of a leaf whose gradient or update is not finite, or -1 (`training_step` computes it).

    The history is a list of the logged steps, oldest first: `{"step": 10, "loss": 2.5, ..., "time": seconds since
    1970}`, the lines of `log.jsonl`, those of the run before it was resumed included. Vectors are lists; what is not
    finite is None.

    `prepare(state, batch)`, which is not compiled, turns a batch into the argument of the step: prompts, say, into
    completions that the state's model samples, with their rewards. If it raises, the state before is saved in
    `folder` first.

    `evaluate(state)` gives numbers or vectors by name, every `evaluate_every` steps and at the end; `progress` shows a
    bar under `name`.

    With a `folder`, the run keeps there

    * `checkpoints/`: every `checkpoint_every` steps, at the end and when stopped; the newest `keep` stay. A run whose
      folder holds one goes on from it, and ends as if it had never stopped, bit for bit;
    * `log.jsonl` and TensorBoard events: metrics every `log_every` steps and at the last one, and the numbers of
      `evaluate` as `evaluation/...`; `tokens_per_second` (after the `unit`) counts neither compilation nor evaluation
      nor saving. Of a vector, TensorBoard gets the mean as `loss` and the entries as `loss/0`, `loss/1`, ...;
    * `loss.png`, drawn at evaluations and when the run ends or stops: of a vector the mean, and a band from the least
      to the greatest entry.

    Raises `Interrupted` after SIGTERM or SIGINT, once the step under way is done and saved; in a run over several
    processes these agree on it at logged steps. Raises `NonFiniteError` when an entry of the `loss` of any step is not
    finite or a step names a culprit; the state of such a step is never saved. Raises `ValueError` when the folder holds
    a longer run than `steps` and for a metric of two or more axes, and `CheckpointError` when the folder holds a
    checkpoint of another state.
    """
    folder = None if folder is None else Path(folder)
    start = 0
    if folder is not None and (restored := restore_checkpoint(folder / "checkpoints", state)):
        start, state = restored
    if start > steps:
        raise ValueError(f"{folder} was trained for {start} steps already, more than {steps}; use another folder.")
    if start == steps:
        return state, RunLog(folder, start, write=False).rows
    report = _Report(folder, [path for path, _ in named_leaves(state)], unit)
    state = _copy_aliased(state)
    advance = _compiled(step, state, jit)
    with contextlib.ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        primary = jax.process_index() == 0
        report.log = stack.enter_context(RunLog(folder, start, write=primary))
        if progress and primary:
            report.bar = stack.enter_context(Progress(name, start, steps, unit))
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
                values |= {f"evaluation/{key}": _plain(key, value, float) for key, value in evaluate(state).items()}
            report.write(done, values, logging or evaluating)
            report.sync(plot=evaluating or stopping or done == steps)
            if saving and folder is not None:  # only now: a checkpoint must not be newer than the log
                save_checkpoint(folder / "checkpoints", done, state, keep=keep)
            report.throughput.resume()
            if stopping:
                raise Interrupted(done, folder)
    return state, report.log.rows


class _Report:
    """Checks the metrics of each step, shows them on the bar, and logs them where due."""

    log: RunLog
    bar: Progress | None = None

    def __init__(self, folder: Path | None, leaves: list[str], unit: str):
        self.folder = folder
        self.leaves = leaves
        self.unit = unit
        self.throughput = Throughput()

    def check(self, step: int, metrics: dict[str, Any]) -> dict[str, Value]:
        """Waits for the metrics of a step and gives them as numbers and lists of numbers."""
        values = {key: _plain(key, value) for key, value in jax.device_get(metrics).items()}
        loss, culprit = np.asarray(values.get("loss", 0.0)), np.asarray(values.pop("culprit", -1))
        broken = ~np.isfinite(loss) | (culprit >= 0)
        if broken.any():
            entry = int(np.argmax(broken))  # the first of them
            at, leaf = (np.broadcast_to(x, broken.shape).reshape(-1)[entry].item() for x in (loss, culprit))
            named = self.leaves[leaf] if leaf >= 0 else None
            raise NonFiniteError(step, at, named, self.folder, entry if broken.ndim else None)
        self.throughput.count(float(np.sum(values.get(self.unit, 0.0))))
        return values

    def write(self, step: int, values: dict[str, Value], logged: bool) -> None:
        rate = self.throughput.rate
        if self.bar:
            loss = values.get("loss")
            self.bar.update(step, None if loss is None else float(np.mean(loss)), rate)
        if logged:
            self.log.write(step, values if rate is None else values | {f"{self.unit}_per_second": rate})
            self.throughput.restart()

    def rescue(self, state: Any, step: int, keep: int) -> None:
        """Saves a state that was not due to be saved, unless there is nothing new in it."""
        if self.folder is not None and step not in (0, *checkpoint_steps(self.folder / "checkpoints")):
            self.sync(plot=False)
            save_checkpoint(self.folder / "checkpoints", step, state, keep=keep)

    def sync(self, plot: bool) -> None:
        self.log.sync()
        if plot:
            self.log.plot()


def _plain(name: str, value: Any, kind: Callable[[Any], Any] = lambda number: number) -> Value:
    """A metric as a number, or as a list of numbers."""
    value = np.asarray(value)
    if value.ndim > 1:
        raise ValueError(f"Metric {name!r} has the shape {value.shape}; `fit` takes scalars and vectors.")
    return [kind(number) for number in value.tolist()] if value.ndim else kind(value.item())


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


def _copy_aliased(state: Any) -> Any:
    """The state with aliased leaves copied before donation: a buffer can be donated once."""
    seen: set[int] = set()

    def own(leaf: Any) -> Any:
        twice = id(leaf) in seen
        seen.add(id(leaf))
        return jnp.copy(leaf) if twice and isinstance(leaf, jax.Array) else leaf

    return jax.tree.map(own, state)


def _compiled(step: Callable[..., Any], state: Any, jit: bool) -> Callable[[Any, Any], Any]:
    """`advance((batch, fixed), state)`: reuses the memory of the state, leaves each array where it is on the mesh."""
    if not jit or hasattr(step, "lower"):
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
