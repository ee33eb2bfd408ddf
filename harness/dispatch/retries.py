"""What deserves another attempt: what a store knows of earlier attempts, and what a run does about
a trial that failed.

A trial that failed alone is tried again up to `limits.attempts` times, if the reason may lie
outside the trial. The loss of a machine that was taken away does not count as an attempt, and
neither does an attempt that is followed by one with more memory. Trials of one batch that are lost
together are told apart first.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from harness.errors import RETRIED_KINDS
from harness.planning.gpus import max_gpus
from harness.store.compact import advice
from harness.store.latest import latest
from harness.store.store import IDENTITY, Store
from harness.sweeps.gpu_shares import named, next_share
from harness.sweeps.registry import load
from harness.sweeps.sweep import Resources, Sweep
from harness.sweeps.trial import Batch, Trial

PREEMPTIONS = 20
"""A run gives a trial up when the trial has lost its node this many times in a row. Such losses
never count as attempts, so without this limit a trial that takes its node with it would run for
ever."""

WHOLE_AGAIN = 3
"""How often a batch that lost its node runs again as it was, before it is cut because one of its
trials may be to blame."""


class AttemptHistory(NamedTuple):
    """What a store already knows of trials."""

    ok: frozenset[str]
    """Trials that have finished."""
    kinds: dict[str, str]
    """Trials that have failed, with the kind of their newest failure."""
    attempts: Counter[str]
    """The number of each trial's last attempt."""
    charged: Counter[str]
    """How many of a trial's attempts count towards `limits.attempts`: none that was preempted, and
    none that ran out of memory and was followed by one with more of a GPU."""

    @classmethod
    def read(cls, store: Store, say: Callable[[str], None]) -> "AttemptHistory":
        """Read the history from the store's rows, which are not kept in memory. `say` is told of
        each problem with the store, and whether it should be compacted."""
        contents = store.read(IDENTITY)
        for sentence in contents.problems + advice(store):
            say(sentence)
        return cls.of(contents.rows)

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "AttemptHistory":
        """Return the history that these rows tell."""
        newest = latest(rows)
        ok = newest.loc[newest["status"] == "ok", "trial_id"]
        failed = newest[newest["status"] == "failed"]
        attempts = rows.groupby("trial_id")["attempt"].max()

        gpus = rows["gpus"].fillna(0.0)
        most_gpus = gpus.groupby(rows["trial_id"]).transform("max")
        had_more_later = rows["failure_kind"].eq("oom") & (gpus < most_gpus)
        uncharged = rows["failure_kind"].eq("preempted") | had_more_later
        charged = rows[~uncharged].groupby("trial_id")["attempt"].nunique()

        return cls(
            ok=frozenset(ok),
            kinds=dict(zip(failed["trial_id"], failed["failure_kind"], strict=True)),
            attempts=Counter({str(trial_id): int(n) for trial_id, n in attempts.items()}),
            charged=Counter({str(trial_id): int(n) for trial_id, n in charged.items()}),
        )

    def wants(self, trial: Trial, attempts: int, retry_failed: bool) -> bool:
        """Return whether to run a trial: never a finished one; a failed one if asked to, or if its
        kind of failure deserves another attempt."""
        if trial.trial_id in self.ok:
            return False

        kind = self.kinds.get(trial.trial_id)
        if kind is None or retry_failed:
            return True
        return kind in RETRIED_KINDS and self.charged[trial.trial_id] < attempts


class Retries:
    """What the trials of a run have been through. Decides which of those that failed run again, and
    with what."""

    def __init__(
        self,
        past: AttemptHistory,
        todo: Iterable[Trial],
        sweep: Sweep,
        inline: bool,
        retry_failed: bool,
    ):
        self.resources = sweep.resources
        self.limit = sweep.limits.attempts
        self.inline = inline

        ids = [trial.trial_id for trial in todo]
        self.attempt = Counter({trial_id: past.attempts[trial_id] + 1 for trial_id in ids})
        """The number of each trial's attempt that is under way."""
        self._charged: Counter[str] = Counter()
        if not retry_failed:
            self._charged.update({trial_id: past.charged[trial_id] for trial_id in ids})
        self._preempted: Counter[str] = Counter()
        """How often in a row a trial was preempted."""
        self._amounts_tried: dict[str, list[str]] = {}
        """The shares of a GPU, or the gigabytes, that a trial has run out of."""

    def of_one(self, trial_id: str, batch: Batch, kind: str) -> Batch | None:
        """Return what to run after a trial failed by itself; None when it is not tried again.

        What is returned is the whole batch. That is right because every kind that is retried is in
        SHARED_KINDS, and such a failure comes here only when the trial was alone in its batch.
        """
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
            if more or trial_id in self._amounts_tried:
                amount = _amount(batch, self.resources)
                self._amounts_tried.setdefault(trial_id, []).append(amount)
            if more:
                return more

        self._preempted[trial_id] = 0
        self._charged[trial_id] += 1
        had_the_most = kind == "oom" and trial_id in self._amounts_tried
        if had_the_most or self._charged[trial_id] >= self.limit:
            return None
        return batch

    def of_several(self, batch: Batch, suspects: list[str], kind: str) -> list[Batch]:
        """Return what to run after several trials of a batch were lost together: halves of the
        batch, until the trial that is to blame is alone."""
        for trial_id in suspects:
            if kind == "preempted":
                self._preempted[trial_id] += 1
            else:
                self._preempted[trial_id] = 0

        remaining = batch.only(suspects)
        others_had_rows = len(suspects) < len(batch.trials)
        preempted = max(self._preempted[trial_id] for trial_id in suspects)
        if others_had_rows or 0 < preempted <= WHOLE_AGAIN:
            return [remaining]
        return list(remaining.halves())

    def how(self, batch: Batch, again: Batch) -> str:
        """Return the part of a message that says how a trial is tried again: as it was, or with
        more memory."""
        if again is batch:
            return "trying again"
        return f"trying again with {_amount(again, self.resources)}"

    def tried(self, trial_id: str) -> str:
        """Return the beginning of the last failure message of a trial that ran out of memory: the
        amounts that it was given. Empty if the trial could never be given more than at first."""
        if trial_id not in self._amounts_tried:
            return ""
        return f"ran out of memory with each of {', '.join(self._amounts_tried[trial_id])}; "


def with_more(batch: Batch, resources: Resources, inline: bool) -> Batch | None:
    """Return the batch with more memory, after its trial ran out: the next larger share of a GPU,
    or twice the reserved memory. None if there is no more, or if no memory was reserved."""
    if inline:
        gpus = 1
        memory_gb = 0.0
    elif batch.gpus or resources.memory_gb:
        from harness.dispatch.cluster import max_gpus_and_memory

        gpus, memory_gb = max_gpus_and_memory(resources.cpus)
    else:
        return None

    if batch.gpus:
        at_most = max(1, min(gpus, resources.max_gpus))
        share = next_share(batch.gpus, max_gpus(load(batch.trials[0].ref), at_most))
        return replace(batch, gpus=share) if share else None

    reserved = batch.memory_gb or resources.memory_gb or 0.0
    doubled = min(2 * reserved, memory_gb)
    return replace(batch, memory_gb=doubled) if doubled > reserved else None


def _amount(batch: Batch, resources: Resources) -> str:
    """Return the batch's share of a GPU, or its gigabytes of memory, for a message."""
    if batch.gpus:
        return named(batch.gpus)
    return f"{batch.memory_gb or resources.memory_gb:.3g} GB"
