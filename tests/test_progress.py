"""Progress as plain lines where there is no terminal, and a bar that is taken down where there is one."""

import io

import pytest
from rich.console import Console

from harness.progress import Progress
from harness.sweep import parse_sweep

TRIAL = parse_sweep("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n", "sweep.yaml").trials[0]


def progress(terminal: bool = False) -> tuple[Progress, io.StringIO]:
    stream = io.StringIO()
    return Progress(Console(file=stream, force_terminal=terminal, width=100, soft_wrap=not terminal, highlight=False)), stream


@pytest.mark.parametrize(
    ("finished", "given_up", "notes"),
    [
        (0, 0, ""),
        (2, 0, ", 2 finished before"),
        (0, 1, ", 1 failed before and not worth retrying (--retry-failed runs them again)"),
    ],
)
def test_the_first_line(finished: int, given_up: int, notes: str):
    shown, stream = progress()
    shown.start(3, finished, given_up, batches=2, forecast=12.7)
    assert stream.getvalue() == f"3 trials to run in 2 batches, about 13 s on this machine{notes}\n"


def test_failures_are_told_at_once_and_sums_at_the_end():
    shown, stream = progress()
    shown.start(3, 0, 0, batches=2, forecast=1.0)
    shown.advance(TRIAL, None, None)
    shown.advance(TRIAL, "nan", "the loss is [bold]nan[/bold]")
    shown.advance(TRIAL, None, None)
    lines = stream.getvalue().splitlines()
    assert lines[1] == f"{TRIAL.trial_id} sphere: nan: the loss is [bold]nan[/bold]", "never read as markup"
    assert lines[2].startswith("[3/3] ok 2 · failed 1 · ")
    assert len(lines) == 3, "no line per trial"


def test_a_terminal_gets_a_bar_that_goes_away():
    shown, stream = progress(terminal=True)
    shown.start(2, 0, 0, batches=1, forecast=1.0)
    shown.advance(TRIAL, None, None)
    shown.advance(TRIAL, "bug", "oops")
    shown.stop()
    shown.stop()
    assert "2/2" in stream.getvalue() and "failed 1" in stream.getvalue()
    assert shown.bar is None


def test_nothing_to_run_shows_no_bar():
    shown, stream = progress(terminal=True)
    shown.start(0, 5, 0, batches=0, forecast=0.0)
    assert shown.bar is None
    assert stream.getvalue() == "0 trials to run, 5 finished before\n", "without a forecast of nothing"
