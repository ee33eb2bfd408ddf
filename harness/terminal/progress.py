"""Live progress: a bar in a terminal, plain lines elsewhere. Written to stderr, so stdout stays
for results."""

import math
import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from harness.errors import strip_control_chars
from harness.sweeps.trial import Trial

PLAIN_EVERY_S = 10.0


class Progress:
    """Trials done, failed and left, the rate, and the time left by the share of the work that is
    done: the first trials to end are the longest."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self.bar: RichProgress | None = None
        self.share: Mapping[str, float] = {}
        self.total = self.done = self.failed = 0
        self.work = 0.0
        self.forecast: float | None = None
        self.began = self.last_line = time.monotonic()

    def start(
        self,
        work: Mapping[str, float],
        finished_before: int,
        given_up: int,
        batches: int,
        forecast: float | None,
    ) -> None:
        """Begin: trials to run, each with its work in any unit, in so many batches, in
        `forecast` seconds here; the rest are finished or given up."""
        total = self.total = len(work)
        self.forecast = forecast
        whole = sum(work.values())
        self.share = {
            trial_id: its / whole if whole else 1 / total for trial_id, its in work.items()
        }
        self.began = self.last_line = time.monotonic()
        about = "" if forecast is None else f", about {forecast:.0f} s on this machine"
        notes = [
            f"{total} trials to run in {batches} batches{about}" if total else "0 trials to run"
        ]
        if finished_before:
            notes.append(f"{finished_before} finished before")
        if given_up:
            notes.append(
                f"{given_up} failed before and not worth retrying (--retry-failed runs them again)"
            )
        self.say(", ".join(notes))
        if self.console.is_terminal and total:
            columns = (
                BarColumn(),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self.bar = RichProgress(*columns, console=self.console)
            self.task = self.bar.add_task("trials", total=1.0, note=f"0/{total}")
            self.bar.start()

    def advance(self, trial: Trial, kind: str | None, message: str | None) -> None:
        """One trial is over for this run: ok, or failed for good."""
        self.done += 1
        self.work = min(1.0, self.work + self.share[trial.trial_id])  # sums of shares round
        if kind:
            self.failed += 1
            self.say(f"{trial.trial_id} {trial.ref.name}: {kind}: {message}")
        elapsed = time.monotonic() - self.began
        rate = self.done / elapsed if elapsed else 0.0
        if self.bar:
            self.bar.update(
                self.task,
                completed=self.work,
                note=f"{self.done}/{self.total} · failed {self.failed} · {rate:.2f}/s",
            )
        elif time.monotonic() - self.last_line >= PLAIN_EVERY_S or self.done == self.total:
            self.last_line = time.monotonic()
            left = self._left(elapsed)
            eta = f"{left:.0f} s left" if left < math.inf else ""
            self.say(
                f"[{self.done}/{self.total}] ok {self.done - self.failed} · failed {self.failed} ·"
                f" {rate:.2f} trials/s · {eta}"
            )

    def _left(self, elapsed: float) -> float:
        """Seconds, by the work that is done; what is under way counts for nothing, so at first
        no more than the forecast says."""
        if self.done == self.total:
            return 0.0
        by_rate = elapsed * (1 / self.work - 1) if self.work else math.inf
        return (
            by_rate
            if self.forecast is None
            else min(by_rate, (1 - self.work) * max(self.forecast, elapsed))
        )

    def say(self, line: str) -> None:
        """A line above the bar; never read as markup."""
        self.console.print(strip_control_chars(line), markup=False)

    def stop(self) -> None:
        """Take the bar down; safe to call twice."""
        if self.bar:
            self.bar.stop()
            self.bar = None
