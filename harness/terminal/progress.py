"""Show live progress on stderr: a bar in a terminal, plain lines elsewhere. stdout stays free for
results."""

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from harness.errors import strip_control_chars
from harness.interruption import tell
from harness.sweeps.trial import Trial

PLAIN_EVERY_S = 10.0


class RaisingConsole(Console):
    """A console that raises BrokenPipeError when its reader is gone, where rich would end the
    process with exit code 1."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError."""
        raise BrokenPipeError


class Progress:
    """The display of the trials done, failed and left, the rate, and the time left.

    The time left is estimated from the share of the work that is done, not of the trials: the
    longest trials end first.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or RaisingConsole(file=sys.stderr, highlight=False, soft_wrap=True)
        self.bar: RichProgress | None = None
        self.share: Mapping[str, float] = {}
        self.total = 0
        self.done = 0
        self.failed = 0
        self.work = 0.0
        self.forecast: float | None = None
        self.began = time.monotonic()
        self.last_line = self.began

    def start(
        self,
        work: Mapping[str, float],
        finished_before: int,
        given_up: int,
        batches: int,
        forecast: float | None,
    ) -> None:
        """Announce what is to be done, and show the bar.

        work: the trials to run, each with its work in any unit. They run in `batches` batches and
        should take `forecast` seconds here. All other trials are finished or given up.
        """
        total = len(work)
        self.total = total
        self.forecast = forecast
        self.share = _shares(work)
        self.began = time.monotonic()
        self.last_line = self.began

        notes = ["0 trials to run"]
        if total:
            about = "" if forecast is None else f", about {forecast:.0f} s on this machine"
            notes = [f"{total} trials to run in {batches} batches{about}"]
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
            with self._showing():
                self.bar.start()

    def advance(self, trial: Trial, kind: str | None, message: str | None) -> None:
        """Count one trial that is over for this run: ok, or failed for good."""
        self.done += 1
        self.work = min(
            1.0, self.work + self.share[trial.trial_id]
        )  # rounding may push the sum above 1
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
        """Return the seconds left, estimated from the work that is done.

        Trials under way do not count as done, so the rate is too low at first. The forecast
        therefore caps the result.
        """
        if self.done == self.total:
            return 0.0

        by_rate = elapsed * (1 / self.work - 1) if self.work else math.inf
        if self.forecast is None:
            return by_rate
        by_forecast = (1 - self.work) * max(self.forecast, elapsed)
        return min(by_rate, by_forecast)

    def say(self, line: str) -> None:
        """Print a line above the bar; nothing in it is read as markup."""
        with self._showing():
            self.console.print(strip_control_chars(line), markup=False)

    @contextlib.contextmanager
    def _showing(self) -> Iterator[None]:
        """Show nothing more once something cannot be written, as to a full disk: that costs the
        messages, and never the run. Where nobody reads them any more, the run is told to end."""
        try:
            yield
        except OSError as e:
            self.console.quiet = True
            with contextlib.suppress(OSError):  # Python writes it again at its exit, and would fail
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.console.file.fileno())
            if isinstance(e, BrokenPipeError):
                tell(signal.SIGPIPE)

    def stop(self) -> None:
        """Remove the bar. Calling this twice is safe."""
        if self.bar:
            with self._showing():
                self.bar.stop()
            self.bar = None


def _shares(work: Mapping[str, float]) -> dict[str, float]:
    """Return each trial's share of all work; equal shares when there is none."""
    whole = sum(work.values())
    if not whole:
        return {trial_id: 1 / len(work) for trial_id in work}
    return {trial_id: of_trial / whole for trial_id, of_trial in work.items()}
