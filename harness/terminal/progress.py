"""Show live progress on stderr: a bar in a terminal, plain lines elsewhere. stdout stays free for
results.

A command makes its Progress before it imports torch, so this file imports nothing that is slow.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.progress import Progress as RichProgress
from rich.text import Text

from harness.errors import strip_control_chars
from harness.interruption import tell
from harness.terminal.counts import counted
from harness.terminal.pace import Pace, in_words
from harness.terminal.streams import say

if TYPE_CHECKING:
    from harness.sweeps.trial import Batch, Trial

PLAIN_EVERY_S = 10.0

BAR_WIDTH = 12


RESET = "\x1b[0m"
"""Sets a terminal's colours back."""


class RaisingConsole(Console):
    """A console that raises BrokenPipeError when its reader is gone, where rich would end the
    process with exit code 1."""

    def print(self, *objects: Any, **how: Any) -> None:
        """Print the objects, unless they are a lone reset of colours: colorama, which comes with
        Ray, writes one when Python exits, and rich would make an empty line of it."""
        if objects != (RESET,):
            super().print(*objects, **how)

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError."""
        raise BrokenPipeError


class Progress:
    """The display of what is done, failed, running and left, and of the time left.

    The time left is estimated from work and not from trials: the longest trials end first.
    """

    def __init__(self, console: Console | None = None, quiet: bool = False):
        self.console = console or RaisingConsole(
            file=sys.stderr, highlight=False, soft_wrap=True, quiet=quiet
        )
        self.bar: RichProgress | None = None
        self.is_loading = False
        self.total = 0
        self.done = 0
        self.failed = 0
        self.pace = Pace({}, None)
        self.ended: list[tuple[frozenset[str], float]] = []
        """Batches that ended and are not entered: their trials, and when."""
        self.forecast: float | None = None
        self.began = time.monotonic()
        self.last_line = self.began

    def loading(self, what: str) -> None:
        """Show what takes a moment before there is anything to count; the next line replaces it. In
        a terminal alone."""
        if self.console.is_terminal:
            with self._showing():
                self.console.print(f"{what} …", end="\r", markup=False, soft_wrap=True)
            self.is_loading = True

    def say_before_the_run(self, line: str) -> None:
        """Print a line in place of what is loading. Where nobody reads stderr any more, end the
        command as SIGPIPE would: no run is there yet that could be told to end."""
        self.stop()
        if not self.console.quiet:
            say(line)

    def start(
        self,
        work: Mapping[str, float],
        finished_before: int,
        given_up: int,
        batches: Sequence[Sequence[str]],
        forecast: float | None,
        expected_factor: float | None = None,
        at_a_time: int = 1,
    ) -> None:
        """Announce what is to be done, and show the bar.

        work: the trials to run, each with its work in any unit, of which one should take
        `expected_factor` seconds. They run in `batches`, `at_a_time` at a time here, and should
        take `forecast` seconds. All other trials are finished or given up.
        """
        total = len(work)
        self.total = total
        self.forecast = forecast
        self.pace = Pace(work, expected_factor, batches, at_a_time)
        self.began = time.monotonic()
        self.last_line = self.began

        notes = ["0 trials to run"]
        if total:
            about = "" if forecast is None else f", about {in_words(forecast)} on this machine"
            trials = counted(total, "trial", "trials")
            together = counted(len(batches), "batch", "batches")
            notes = [f"{trials} to run in {together}{about}"]
        if finished_before:
            notes.append(f"{finished_before} finished before")
        if given_up:
            notes.append(
                f"{given_up} failed before and not worth retrying (--retry-failed runs them again)"
            )
        self.say(", ".join(notes))

        if self.console.is_terminal and total:
            columns = (BarColumn(BAR_WIDTH), _Line(self))
            self.bar = RichProgress(*columns, console=self.console, refresh_per_second=4)
            self.task = self.bar.add_task("trials", total=total)
            with self._showing():
                self.bar.start()

    def begin(self, batch: "Batch") -> None:
        """Note that a batch has begun."""
        self.pace.begin((trial.trial_id for trial in batch.trials), time.monotonic())
        self._say_when_due()

    def end(self, batch: "Batch") -> None:
        """Note that a batch has ended, whatever became of it. Its trials are shown as running until
        they are entered: that their rows are being written does not make them wait."""
        self.ended.append((frozenset(trial.trial_id for trial in batch.trials), time.monotonic()))

    def advance(self, trial: "Trial", kind: str | None, message: str | None) -> None:
        """Count one trial that is over for this run: ok, or failed for good."""
        self.done += 1
        self.pace.settle(trial.trial_id)
        if kind:
            self.failed += 1
            self.say(f"{trial.trial_id} {trial.ref.name}: {kind}: {message}")

        if self.bar:
            self.bar.update(self.task, completed=self.done)
        elif self.done == self.total:
            self.say(self.line())

    def entered(self) -> None:
        """Note that every trial of the batches that ended is counted, or will run again."""
        for trials, at in self.ended:
            self.pace.end(trials, at)
        self.ended.clear()
        if self.done < self.total:
            self._say_when_due()

    def _say_when_due(self) -> None:
        """Print the line, elsewhere than in a terminal, at most once in PLAIN_EVERY_S."""
        now = time.monotonic()
        if not self.bar and now - self.last_line >= PLAIN_EVERY_S:
            self.last_line = now
            self.say(self.line())

    def line(self) -> str:
        """Return what is done, failed, running and left, and the time left, as one line."""
        counts = [f"{self.done - self.failed} done"]
        if self.failed:
            counts.append(f"{self.failed} failed")
        if self.pace.running:
            counts.append(f"{self.pace.running} running")
        left = self.total - self.done
        if not left:
            took = in_words(time.monotonic() - self.began)
            return " · ".join([*counts, f"all {self.total} over after {took}"])
        waiting = left - self.pace.running
        return " · ".join([*counts, f"{max(0, waiting)} waiting", self._time_left()])

    def _time_left(self) -> str:
        """Return the time left, as far as anybody knows it. Until the first batch has begun, the
        forecast is all there is."""
        now = time.monotonic()
        if self.pace.has_begun:
            left = self.pace.left(now)
            return "time left unknown" if left is None else f"about {in_words(left)} left"

        left = (self.forecast or 0.0) - (now - self.began)
        return f"starting, about {in_words(left)} left" if left > 0 else "starting"

    def say(self, line: str) -> None:
        """Print a line above the bar; nothing in it is read as markup."""
        self._clear_loading()
        with self._showing():
            self.console.print(strip_control_chars(line), markup=False)

    def _clear_loading(self) -> None:
        if self.is_loading:
            self.is_loading = False
            with self._showing():
                self.console.file.write("\x1b[2K")
                self.console.file.flush()

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
        self._clear_loading()
        if self.bar:
            with self._showing():
                self.bar.stop()
            self.bar = None


class _Line(ProgressColumn):
    """The text beside the bar, written anew several times a second."""

    def __init__(self, progress: Progress):
        super().__init__()
        self.progress = progress

    def render(self, task: Task) -> Text:
        """Return the line of this moment."""
        return Text(self.progress.line(), no_wrap=True)
