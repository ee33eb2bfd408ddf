"""What deserves another attempt: what a store knows of earlier ones, and what a run does about a
trial that failed.

A trial alone is tried again up to `limits.attempts` times, when the reason may lie outside it. A
machine that was taken away does not count, and neither does an attempt that is followed by one with
more memory. Trials of one batch that are lost together are told apart first.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from harness.errors import RETRIED_KINDS
from harness.planning.gpus import max_gpus
from harness.store.latest import latest
from harness.store.store import IDENTITY, Store
from harness.sweeps.gpu_shares import named, next_share
from harness.sweeps.registry import load
from harness.sweeps.sweep import Resources, Sweep
from harness.sweeps.trial import Batch, Trial
from harness.terminal.progress import Progress

PREEMPTIONS = 20
"""So often in a row a trial may lose its node, none of which counts as an attempt: some trials
take their node with them."""

WHOLE_AGAIN = 3
"""So often a batch that lost its node runs again as it was, before it is cut for the same
suspicion."""


class AttemptHistory(NamedTuple):
    """What a store already knows of trials."""

    ok: frozenset[str]
    kinds: dict[str, str]
    attempts: Counter[str]
    """The highest number of a trial's attempts."""
    charged: Counter[str]
    """How many of them count towards `limits.attempts`: none that was preempted, and none that
    was followed by one with more of a GPU."""

    @classmethod
    def read(cls, store: Store, progress: Progress) -> "AttemptHistory":
        """From the store's rows, which are not kept."""
        contents = store.read(IDENTITY)
        for problem in contents.problems:
            progress.say(problem)
        return cls.of(contents.rows)

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "AttemptHistory":
        newest = latest(rows)
        failed = newest[newest["status"] == "failed"]
        attempts = rows.groupby("trial_id")["attempt"].max()
        on = rows["gpus"].fillna(0.0)
        most_on = on.groupby(rows["trial_id"]).transform("max")
        uncharged = rows["failure_kind"].eq("preempted") | (
            rows["failure_kind"].eq("oom") & (on < most_on)
        )
        charged = rows[~uncharged].groupby("trial_id")["attempt"].nunique()
        return cls(
            frozenset(newest.loc[newest["status"] == "ok", "trial_id"]),
            dict(zip(failed["trial_id"], failed["failure_kind"], strict=True)),
            Counter({str(trial_id): int(attempt) for trial_id, attempt in attempts.items()}),
            Counter({str(trial_id): int(count) for trial_id, count in charged.items()}),
        )

    def wants(self, trial: Trial, attempts: int, retry_failed: bool) -> bool:
        """Whether to run a trial: never a finished one; a failed one if asked, or if its kind
        deserves another attempt."""
        if trial.trial_id in self.ok:
            return False
        kind = self.kinds.get(trial.trial_id)
        return (
            kind is None
            or retry_failed
            or (kind in RETRIED_KINDS and self.charged[trial.trial_id] < attempts)
        )


class Retries:
    """What the trials of a run have been through, and which of those that failed run again, and
    with what."""

    def __init__(
        self,
        past: AttemptHistory,
        todo: Iterable[Trial],
        sweep: Sweep,
        inline: bool,
        retry_failed: bool,
    ):
        self.resources, self.limit, self.inline = sweep.resources, sweep.limits.attempts, inline
        todo = list(todo)
        self.attempt = Counter({t.trial_id: past.attempts[t.trial_id] + 1 for t in todo})
        """The number of each trial's attempt that is under way."""
        self._charged = (
            Counter()
            if retry_failed
            else Counter({t.trial_id: past.charged[t.trial_id] for t in todo})
        )
        self._preempted: Counter[str] = Counter()  # times in a row
        self._tried: dict[str, list[str]] = {}  # what a trial that ran out of memory has had

    def of_one(self, trial_id: str, batch: Batch, kind: str) -> Batch | None:
        """What to run after a trial failed by itself; None when that was its last attempt. Kinds
        that are retried only come from a trial that was alone in its batch."""
        again = self._again(batch, trial_id, kind)
        if again:
            self.attempt[trial_id] += 1
        return again

    def _again(self, batch: Batch, trial_id: str, kind: str) -> Batch | None:
        if kind not in RETRIED_KINDS:
            return None
        if kind == "preempted":
            self._preempted[trial_id] += 1
            return batch if self._preempted[trial_id] < PREEMPTIONS else None
        if kind == "oom":
            more = with_more(batch, self.resources, self.inline)
            if more or trial_id in self._tried:
                self._tried.setdefault(trial_id, []).append(_amount(batch, self.resources))
            if more:
                return more
        self._preempted[trial_id] = 0
        self._charged[trial_id] += 1
        at_most = kind == "oom" and trial_id in self._tried  # with the most that there is
        return batch if self._charged[trial_id] < self.limit and not at_most else None

    def of_several(self, batch: Batch, suspects: list[str], kind: str) -> list[Batch]:
        """What to run after trials of a batch were lost together: halves of it, until the one
        that does it is alone."""
        for trial_id in suspects:
            self._preempted[trial_id] = self._preempted[trial_id] + 1 if kind == "preempted" else 0
        left = batch.only(suspects)
        whole = (
            len(suspects) < len(batch.trials)
            or 0 < max(self._preempted[trial_id] for trial_id in suspects) <= WHOLE_AGAIN
        )
        return [left] if whole else list(left.halves())

    def how(self, batch: Batch, again: Batch) -> str:
        """How a trial is tried again."""
        return "trying again" + (
            "" if again is batch else f" with {_amount(again, self.resources)}"
        )

    def tried(self, trial_id: str) -> str:
        """The beginning of what a row says of a trial that ran out of memory for good; empty
        where there was no more to be had."""
        return (
            f"ran out of memory with each of {', '.join(self._tried[trial_id])}; "
            if trial_id in self._tried
            else ""
        )


def with_more(batch: Batch, resources: Resources, inline: bool) -> Batch | None:
    """The batch of a trial that ran out of memory, with more of it: the next larger share of a
    GPU, or twice the memory reserved; None where there is no more to have, or none was reserved."""
    if inline:
        gpus, memory_gb = 1, 0.0
    elif batch.gpus or resources.memory_gb:
        from harness.dispatch.actors import max_gpus_and_memory

        gpus, memory_gb = max_gpus_and_memory(resources.cpus)
    else:
        return None
    if batch.gpus:
        more = next_share(
            batch.gpus, max_gpus(load(batch.trials[0].ref), max(1, min(gpus, resources.max_gpus)))
        )
        return replace(batch, gpus=more) if more else None
    reserved = batch.memory_gb or resources.memory_gb or 0.0
    more = min(2 * reserved, memory_gb)
    return replace(batch, memory_gb=more) if more > reserved else None


def _amount(batch: Batch, resources: Resources) -> str:
    return named(batch.gpus) if batch.gpus else f"{batch.memory_gb or resources.memory_gb:.3g} GB"
