"""How long a run will still take, from what its batches were expected to take and what they took.

    pace = Pace({"a": 60.0, "b": 60.0}, expected_factor=1.35)
    pace.begin(["a"], now=0.0)
    pace.end(["a"], now=90.0)
    pace.left(now=90.0)  # about 90 s

A batch that is under way counts by the seconds it has been, so the estimate falls between the ends
of batches, and rises when they take longer than expected.
"""

import math
from collections.abc import Iterable, Mapping

PRIOR_SHARE = 0.02
"""The expected factor weighs as much as this share of all work that has been seen to take its
time. A first trial that is little of the work then does not say hours."""

QUICK_PRIOR = 0.25
"""Where work goes quicker than expected, the expected factor weighs at most this multiple of the
work that was seen. A start makes a batch slower than it should be, and nothing makes it ten times
quicker: after a first batch that took a tenth of its seconds, the time left is at most 1.6 times
too long."""

OVERRUN_LEFT = 0.15
"""A batch that has taken longer than it should still takes this share of what it has taken, where
batches that ended have shown the pace."""

UNSEEN_OVERRUN_LEFT = 0.5
"""The same before any batch has ended. The forecast is all there is then, and the longer the batch
goes on, the less it was worth."""


class Pace:
    """The work of a run, and the time it takes.

    work: the work of each trial, in seconds that one worker should take for it, or in any other
    unit. expected_factor: seconds that a unit of work should take; None when nobody knows.
    batches: the trials of each batch that is planned. at_a_time: batches that are expected to run
    at a time.
    """

    def __init__(
        self,
        work: Mapping[str, float],
        expected_factor: float | None,
        batches: Iterable[Iterable[str]] = (),
        at_a_time: int = 1,
    ):
        self.expected_factor = expected_factor
        self.work = dict(work) if sum(work.values()) else dict.fromkeys(work, 1.0)
        self.all_work = sum(self.work.values())
        self.work_left = self.all_work
        """Of the trials that are not over."""
        self.waiting = {b: self._work_of(b) for b in map(frozenset, batches)}
        """The planned batches that have not begun, and the work of each."""
        self.over: set[str] = set()
        self.began: dict[frozenset[str], float] = {}
        """The batches under way, by their trials, and when each began."""
        self.at_a_time = at_a_time
        """Batches that were under way when the last one ended: as many run at a time."""
        self.has_begun = False
        self.seen_work = 0.0
        self.seen_seconds = 0.0

    @property
    def running(self) -> int:
        """Trials of the batches under way that are not over."""
        return sum(len(batch - self.over) for batch in self.began)

    def begin(self, trials: Iterable[str], now: float) -> None:
        """Note that a batch has begun."""
        self.has_begun = True
        batch = frozenset(trials)
        self.began[batch] = now
        self.waiting.pop(batch, None)

    def end(self, trials: Iterable[str], now: float) -> None:
        """Note that a batch has ended, whatever became of its trials."""
        batch = frozenset(trials)
        if batch not in self.began:
            return
        self.at_a_time = len(self.began)
        self.seen_seconds += now - self.began.pop(batch)
        self.seen_work += self._work_of(batch)

    def settle(self, trial: str) -> None:
        """Note that a trial is over and will not run again."""
        if trial not in self.over:
            self.over.add(trial)
            self.work_left -= self.work.get(trial, 0.0)

    def left(self, now: float) -> float | None:
        """Return the seconds until all work is done; None while nothing says how long it takes."""
        factor = self._factor(now)
        if factor is None:
            return None

        overrun_left = OVERRUN_LEFT if self.seen_work else UNSEEN_OVERRUN_LEFT
        longest = factor * max(self.waiting.values(), default=0.0)
        under_way = 0.0
        waiting = self.work_left
        for batch, began in self.began.items():
            been = now - began
            still = max(factor * self._work_of(batch) - been, overrun_left * been)
            longest = max(longest, still)
            under_way += still
            waiting -= self._work_of(batch - self.over)

        at_a_time = max(self.at_a_time, len(self.began))
        return max(longest, (under_way + factor * max(0.0, waiting)) / at_a_time)

    def _factor(self, now: float) -> float | None:
        """Return the seconds that a unit of work takes: a geometric mean of the expected factor and
        of what was seen, by how much was seen.

        Batches that have run over what the ended ones suggest are part of what was seen.
        """
        work, seconds = self.seen_work, self.seen_seconds
        factor = self._mean(work, seconds)
        for batch, began in self.began.items():
            of_batch = self._work_of(batch)
            if factor is not None and now - began > factor * of_batch:
                work += of_batch
                seconds += now - began
        return self._mean(work, seconds)

    def _mean(self, work: float, seconds: float) -> float | None:
        if not work or not seconds:
            return self.expected_factor
        seen = seconds / work
        if self.expected_factor is None:
            return seen

        prior = PRIOR_SHARE * self.all_work
        if seen < self.expected_factor:
            prior = min(prior, QUICK_PRIOR * work)
        logs = prior * math.log(self.expected_factor) + work * math.log(seen)
        return math.exp(logs / (prior + work))

    def _work_of(self, trials: Iterable[str]) -> float:
        return sum(self.work.get(trial, 0.0) for trial in trials)


def in_words(seconds: float) -> str:
    """Return a duration as a reader wants it: "20 s", "3 min", "2 h 10 min", "3 d 4 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
