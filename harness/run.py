"""A run, told top to bottom: what is left to do, workers, rows, retries, what to say at the end."""

import contextlib
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from harness.dispatch.retries import AttemptHistory, Retries
from harness.errors import SHARED_KINDS, UserError
from harness.execution.run_batch import run_batch
from harness.planning.machine_speed import calibrated
from harness.planning.plan import batches, slots_here
from harness.planning.times import FORECAST_OVERHEAD, Planned, wall_seconds
from harness.store import provenance
from harness.store.records import RunRecord, SweepRecord
from harness.store.schema import SCHEMA_VERSION, Columns
from harness.store.store import Store
from harness.sweeps.registry import load
from harness.sweeps.sweep import Resources, Sweep
from harness.sweeps.trial import Batch, RunSettings, Trial, canonical_json
from harness.task import BaseTask, Config, Task
from harness.terminal.progress import Progress

START_S = 8.0
"""Seconds until Ray and its workers, torch loaded, are at work on one machine."""


class Outcome(NamedTuple):
    """What a run did. `failed` counts trials by kind of failure, those that failed in earlier
    runs included."""

    finished_before: int
    ok: int
    failed: Counter[str]
    given_up: int
    seconds: float


def run(
    sweep: Sweep,
    store: Store,
    address: str | None,
    inline: bool,
    retry_failed: bool,
    progress: Progress,
) -> Outcome:
    """Run what the store lacks. Rows are written as batches end; a KeyboardInterrupt leaves them
    there and passes on."""
    clock, began = time.perf_counter(), datetime.now(UTC)
    for said in store.set_torn_aside():
        progress.say(f"set aside: {said}")
    task_source = next((t.ref.source for t in sweep.trials if t.ref.source is not None), None)
    asked = {t.trial_id: t.ref.name for t in sweep.trials}
    store.put_sweep(
        SweepRecord(name=sweep.name, text=sweep.text, task_source=task_source, trials=asked)
    )
    past = AttemptHistory.read(store, progress.say)
    store.drop_checkpoints(past.ok)  # a run may be killed between a row and this
    todo = [t for t in sweep.trials if past.wants(t, sweep.limits.attempts, retry_failed)]
    finished_before = sum(t.trial_id in past.ok for t in sweep.trials)
    given_up = len(sweep.trials) - finished_before - len(todo)
    planned, forecast = _planned(todo, sweep, inline, progress) if todo else ([], 0.0)
    queue = deque(p.batch for p in planned)
    work = {t.trial_id: p.seconds / len(p.batch.trials) for p in planned for t in p.batch.trials}
    del planned
    if inline and any(batch.gpus > 1 for batch in queue):
        raise UserError(
            "--inline runs in this process, on one GPU, and some trials of this sweep take several:"
            " leave it out"
        )
    retries = Retries(past, todo, sweep, inline, retry_failed)
    ok, failed = 0, Counter()
    progress.start(
        work,
        finished_before=finished_before,
        given_up=given_up,
        batches=len(queue),
        forecast=forecast,
    )
    for batch, found in (
        results(queue, sweep.resources, given_by(sweep, store), address, inline) if queue else ()
    ):
        rows, suspects = [], []
        for trial, columns in zip(batch.trials, found, strict=True):
            kind = columns.get("failure_kind")
            if kind in SHARED_KINDS and len(batch.trials) > 1:
                suspects.append(trial.trial_id)
                continue
            row = {**identity(trial, retries.attempt[trial.trial_id], sweep.name), **columns}
            weights, pictures = row.pop("_weights"), row.pop("_pictures")
            row["weights_file"] = store.put_weights(trial.trial_id, weights) if weights else None
            row["pictures_file"] = (
                store.put_pictures(trial.trial_id, pictures) if pictures else None
            )
            rows.append(row)
            again = retries.of_one(trial.trial_id, batch, kind) if kind else None
            if again:
                queue.append(again)
                progress.say(
                    f"{trial.trial_id} {trial.ref.name}: {kind}, {retries.how(batch, again)}:"
                    f" {row['failure_message']}"
                )
                continue
            if kind == "oom":
                row["failure_message"] = f"{retries.tried(trial.trial_id)}{row['failure_message']}"[
                    :2000
                ]
            ok, failed = ok + (kind is None), failed + Counter([kind] if kind else [])
            progress.advance(trial, kind, row.get("failure_message"))
        if rows:
            store.append(rows)
        store.drop_checkpoints(
            [row["trial_id"] for row in rows if row.get("failure_kind") not in SHARED_KINDS]
        )
        if suspects:
            lost = next(c for c in found if c.get("failure_kind") in SHARED_KINDS)
            again = retries.of_several(batch, suspects, lost["failure_kind"])
            queue.extend(again)
            how = "together" if again == [batch] else "apart"
            progress.say(
                f"{len(suspects)} trials of a batch of {len(batch.trials)} to run again {how}:"
                f" {lost['failure_message']}"
            )
    progress.stop()
    seconds = time.perf_counter() - clock
    if todo:
        record = RunRecord(
            sweep=sweep.name,
            began=began,
            inline=inline,
            trials=len(todo),
            forecast_s=forecast,
            seconds=seconds,
        )
        store.put_run(record)
    return Outcome(finished_before, ok, failed, given_up, seconds)


def _planned(
    todo: list[Trial], sweep: Sweep, inline: bool, progress: Progress
) -> tuple[list[Planned], float]:
    """The batches, and the seconds that all of it should take on this machine."""
    calibration = calibrated(sweep.resources.cpus, progress.say)
    planned = batches(sweep, todo, calibration)
    slots = 1 if inline else slots_here(sweep)
    return planned, FORECAST_OVERHEAD * wall_seconds(planned, slots, calibration.slowdown) + (
        0.0 if inline else START_S
    )


def identity(trial: Trial, attempt: int, sweep: str) -> dict[str, Any]:
    """The columns that are known before a trial starts."""
    task, config = load(trial.ref), trial.load_config()
    return {
        "trial_id": trial.trial_id,
        "attempt": attempt,
        "sweep": sweep,
        "task": trial.ref.name,
        "task_version": task.version,
        "seed": trial.seed,
        "config_json": canonical_json(trial.config),
        "settings_json": canonical_json(config.settings() | _read_from(task, config)),
        "finished_at": datetime.now(UTC),
        "schema_version": SCHEMA_VERSION,
        **provenance.of_code(),  # of the driver; a worker that answers says its own
    }


def _read_from(task: BaseTask, config: Config) -> dict[str, str]:
    """Data that are read, and not made by the task, are a setting: another corpus is another
    curve."""
    return (
        {}
        if type(task).fingerprint is Task.fingerprint
        else {"data": task.fingerprint(config)[:12]}
    )


def given_by(sweep: Sweep, store: Store) -> RunSettings:
    """What every batch of a sweep is run with."""
    return RunSettings(
        cpus=sweep.resources.cpus,
        gpus=0.0,
        seconds=sweep.limits.seconds_per_trial,
        weights_bytes=int(sweep.limits.weights_mb * 1e6),
        measure_points=sweep.limits.measure_points,
        checkpoints=store.checkpoints(),
    )


def results(
    queue: deque[Batch], resources: Resources, given: RunSettings, address: str | None, inline: bool
) -> Iterator[tuple[Batch, list[Columns]]]:
    """Batches as they end, with their columns; the queue may grow meanwhile."""
    if inline:
        yield from _inline(queue, given)
    else:
        from harness.dispatch.run_batches import on_ray

        # Ray tells of dead workers on stdout, which is for results
        with contextlib.redirect_stdout(sys.stderr):
            yield from on_ray(queue, address, resources, given)


def _inline(queue: deque[Batch], given: RunSettings) -> Iterator[tuple[Batch, list[Columns]]]:
    """The same calls in this process, one after another: for a debugger, and to check Ray
    against."""
    while queue:
        batch = queue.popleft()
        yield batch, run_batch(batch, given._replace(gpus=batch.gpus))


def how_to_go_on(arguments: list[str]) -> str:
    """The command line that continues an interrupted run."""
    import shlex

    return shlex.join([Path(arguments[0]).name, *arguments[1:]])
