"""A run, told top to bottom: what is left to do, batches to workers, rows to the store, retries."""

import contextlib
import shlex
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from harness.dispatch.retries import AttemptHistory, Retries
from harness.dispatch.rivals import Rivals
from harness.errors import SHARED_KINDS, UserError
from harness.execution.failures import LONGEST_MESSAGE
from harness.execution.run_batch import run_batch
from harness.execution.shared_process import without_exit
from harness.execution.trial_result import TrialResult
from harness.interruption import interruptions, raise_if_told
from harness.planning.machine_speed import calibrated_for
from harness.planning.schedule import schedule
from harness.planning.times import FORECAST_OVERHEAD, RAY_START_S, side_by_side
from harness.store.folder import DoesNotFit
from harness.store.schema import Columns
from harness.store.store import RunRecord, Store, SweepRecord
from harness.store.under_way import UnderWay, say_cut_off
from harness.sweeps.row_identity import identity
from harness.sweeps.sweep import Resources, Sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.terminal.progress import Progress


class Outcome(NamedTuple):
    """What a run did. `failed` counts trials by kind of failure, those that failed in earlier
    runs included."""

    finished_before: int
    ok: int
    failed: Counter[str]
    given_up: int
    seconds: float


@interruptions()
def run(
    sweep: Sweep,
    store: Store,
    address: str | None,
    inline: bool,
    retry_failed: bool,
    progress: Progress,
) -> Outcome:
    """Run the trials that the store lacks. Rows are written as batches end; a KeyboardInterrupt
    leaves them there and passes on.

    Raises UserError when `inline` is asked for and a trial takes several GPUs.
    """
    clock = time.perf_counter()
    began = datetime.now(UTC)

    for torn_file in store.set_torn_aside():
        progress.say(f"set aside: {torn_file}")
    store.put_sweep(_sweep_record(sweep))
    say_cut_off(store.files, sweep.name, progress.say)

    rivals = Rivals(store)
    past = AttemptHistory.read(store, progress.say)
    # An earlier run may have been killed between writing a row and this.
    store.drop_checkpoints(past.ok)
    todo = [t for t in sweep.trials if past.wants(t, sweep.limits.attempts, retry_failed)]
    finished_before = sum(t.trial_id in past.ok for t in sweep.trials)
    given_up = len(sweep.trials) - finished_before - len(todo)

    queue = _queue_of(todo, sweep, inline, progress)
    progress.start(
        queue.work,
        finished_before=finished_before,
        given_up=given_up,
        batches=[[t.trial_id for t in batch.trials] for batch in queue.batches],
        forecast=queue.forecast_s,
        expected_factor=FORECAST_OVERHEAD,
        at_a_time=queue.slots,
    )

    retries = Retries(past, todo, sweep, inline, retry_failed)
    ledger = _Ledger(sweep, store, queue.batches, retries, rivals, progress)
    if queue.batches:
        settings = settings_of(sweep, store)
        rivals.look()  # planning has taken a while
        ledger.leave_to_rivals()
        under_way = UnderWay(store.files, sweep.name)
        # No name for the generator: an error that leaves the loop closes it at once, which cancels
        # what is in flight.
        for batch, batch_results in results(
            queue.batches, sweep.resources, settings, address, inline, under_way, progress
        ):
            ledger.enter(batch, batch_results)
            ledger.leave_to_rivals(batch.trials)
            progress.entered()
    progress.stop()

    seconds = time.perf_counter() - clock
    if todo:
        record = RunRecord(
            sweep=sweep.name,
            began=began,
            inline=inline,
            trials=len(todo),
            forecast_s=queue.forecast_s,
            seconds=seconds,
        )
        try:
            store.put_run(record)
        except DoesNotFit as e:  # the rows are all there
            progress.say(str(e))
    finished_before += ledger.finished_by_rivals
    return Outcome(finished_before, ledger.ok, ledger.failed, given_up, seconds)


def _sweep_record(sweep: Sweep) -> SweepRecord:
    sources = (t.ref.source for t in sweep.trials if t.ref.source is not None)
    return SweepRecord(
        name=sweep.name,
        text=sweep.text,
        task_source=next(sources, None),
        trials={t.trial_id: t.ref.name for t in sweep.trials},
    )


# What is left to do


class _Queue(NamedTuple):
    batches: deque[Batch]
    work: dict[str, float]
    """Trial id → seconds of work expected."""
    forecast_s: float
    """Seconds that everything should take on this machine."""
    slots: int
    """Batches at a time."""


def _queue_of(todo: list[Trial], sweep: Sweep, inline: bool, progress: Progress) -> _Queue:
    """Cut the trials into batches. Raises UserError when one needs several GPUs and runs inline."""
    if not todo:
        return _Queue(deque(), {}, 0.0, 1)

    calibration = calibrated_for(sweep.resources, progress.say)
    made = schedule(sweep, todo, calibration, inline)
    planned = side_by_side(made.planned, made.slots, made.slowdown)
    if inline and any(p.batch.gpus > 1 for p in planned):
        raise UserError(
            "--inline runs in this process, on one GPU, and some trials of this sweep take several:"
            " leave it out"
        )

    work = {}
    for p in planned:
        work |= dict.fromkeys((t.trial_id for t in p.batch.trials), p.seconds / len(p.batch.trials))
    forecast_s = made.wall_seconds if inline else made.wall_seconds + RAY_START_S
    return _Queue(deque(p.batch for p in planned), work, forecast_s, made.slots)


def settings_of(sweep: Sweep, store: Store) -> RunSettings:
    """Return what every batch of a sweep is run with."""
    return RunSettings(
        cpus=sweep.resources.cpus,
        gpus=0.0,
        seconds=sweep.limits.seconds_per_trial,
        weights_bytes=int(sweep.limits.weights_mb * 1e6),
        measure_points=sweep.limits.measure_points.counts.plain,
        checkpoints=store.checkpoints(),
    )


# Batches to workers


def results(
    queue: deque[Batch],
    resources: Resources,
    settings: RunSettings,
    address: str | None,
    inline: bool,
    under_way: UnderWay,
    progress: Progress,
) -> Iterator[tuple[Batch, list[TrialResult]]]:
    """Yield batches as they end, with the results of their trials. The queue may grow
    meanwhile."""
    with under_way:
        if inline:
            yield from _inline(queue, settings, under_way, progress)
            return

        from harness.dispatch.run_batches import on_ray

        # Ray reports dead workers on stdout, which is for results.
        with contextlib.redirect_stdout(sys.stderr):
            for batch, batch_results in on_ray(queue, address, resources, settings, progress.begin):
                progress.end(batch)
                yield batch, batch_results


def _inline(
    queue: deque[Batch], settings: RunSettings, under_way: UnderWay, progress: Progress
) -> Iterator[tuple[Batch, list[TrialResult]]]:
    """Make the same calls in this process, one after another: for a debugger, and to check Ray
    against."""
    while queue:
        raise_if_told()
        batch = queue.popleft()
        under_way.works_on(trial.trial_id for trial in batch.trials)
        progress.begin(batch)
        with without_exit():
            batch_results = run_batch(batch, settings._replace(gpus=batch.gpus))
        progress.end(batch)
        yield batch, batch_results


# Results to the store


class _Ledger:
    """What becomes of results: rows in the store, failed trials back in the queue, and counts."""

    def __init__(
        self,
        sweep: Sweep,
        store: Store,
        queue: deque[Batch],
        retries: Retries,
        rivals: Rivals,
        progress: Progress,
    ):
        self.sweep = sweep
        self.store = store
        self.queue = queue
        self.retries = retries
        self.rivals = rivals
        self.progress = progress
        self.finished_by_rivals = 0
        self.ok = 0
        self.failed: Counter[str] = Counter()

    def leave_to_rivals(self, ended: tuple[Trial, ...] = ()) -> None:
        """Take off the queue what another run of the same trials has finished meanwhile. Count
        those trials, and such among `ended`."""
        theirs = [trial for trial in ended if trial.trial_id in self.rivals.finished]
        for trial in theirs + self.rivals.take_off(self.queue):
            self.finished_by_rivals += 1
            self.progress.advance(trial, None, None)

    def enter(self, batch: Batch, batch_results: list[TrialResult]) -> None:
        """Write the rows of a batch that has ended, and queue what has to run again.

        Nothing is shown before the rows are written, so that a display that fails costs none.
        """
        self.rivals.look()
        rows = []
        suspects = []
        to_show: list[Callable[[], None]] = []
        for trial, result in zip(batch.trials, batch_results, strict=True):
            if trial.trial_id in self.rivals.finished:  # its row is there
                continue
            if result.failure_kind in SHARED_KINDS and len(batch.trials) > 1:
                suspects.append(trial.trial_id)
                continue
            row = self._row(trial, result)
            to_show.append(self._run_again_or_count(trial, batch, row))
            rows.append(row)

        if rows:
            self.store.append(rows)
        for sentence in self.store.left_out():
            self.progress.say(sentence)
        unshared = [r["trial_id"] for r in rows if r.get("failure_kind") not in SHARED_KINDS]
        self.store.drop_checkpoints(unshared)

        if suspects:
            lost = next(r for r in batch_results if r.failure_kind in SHARED_KINDS)
            to_show.append(self._run_suspects_again(batch, suspects, lost))

        for show in to_show:
            show()

    def _row(self, trial: Trial, result: TrialResult) -> Columns:
        """Return the trial's row, and put the files that it names into the store."""
        return {
            **identity(trial, self.retries.attempt[trial.trial_id], self.sweep.name),
            **result.columns,
            **self.store.keep_weights(trial.trial_id, result.weights),
            **self.store.keep_pictures(trial.trial_id, result.pictures),
        }

    def _run_again_or_count(self, trial: Trial, batch: Batch, row: Columns) -> Callable[[], None]:
        """Queue a failed trial that deserves another attempt; count every other one. Return how to
        show what was done."""
        kind = row.get("failure_kind")
        if kind is None:
            self.ok += 1
            return partial(self.progress.advance, trial, None, None)

        again = self.retries.of_one(trial.trial_id, batch, kind)
        if again:
            self.queue.append(again)
            return partial(
                self.progress.say,
                f"{trial.trial_id} {trial.ref.name}: {kind}, {self.retries.how(batch, again)}:"
                f" {row['failure_message']}",
            )

        if kind == "oom":
            message = self.retries.tried(trial.trial_id) + row["failure_message"]
            row["failure_message"] = message[:LONGEST_MESSAGE]
        self.failed[kind] += 1
        return partial(self.progress.advance, trial, kind, row["failure_message"])

    def _run_suspects_again(
        self, batch: Batch, suspects: list[str], lost: TrialResult
    ) -> Callable[[], None]:
        """Queue the trials of a batch that were lost together: `lost` says how. Return how to show
        what was done."""
        kind = lost.failure_kind
        assert kind is not None
        again = self.retries.of_several(batch, suspects, kind)
        self.queue.extend(again)

        how = "together" if again == [batch] else "apart"
        return partial(
            self.progress.say,
            f"{len(suspects)} trials of a batch of {len(batch.trials)} to run again {how}:"
            f" {lost.columns['failure_message']}",
        )


def how_to_go_on(arguments: list[str]) -> str:
    """Return the command line that continues an interrupted run."""
    return shlex.join([Path(arguments[0]).name, *arguments[1:]])
