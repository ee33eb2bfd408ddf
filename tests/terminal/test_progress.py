"""Progress as plain lines where there is no terminal, and a bar that is taken down where there
is one.

Run alone: python -m pytest tests/terminal/test_progress.py
"""

import io

import pytest
from rich.console import Console

from harness.sweeps.sweep import parse_sweep
from harness.terminal.progress import Progress

TRIALS = parse_sweep("name: a\nseeds: [0, 1, 2]\ntasks:\n  - task: sphere\n", "sweep.yaml").trials
THREE = {TRIALS[0].trial_id: 8.0, TRIALS[1].trial_id: 1.0, TRIALS[2].trial_id: 1.0}


def progress(terminal: bool = False) -> tuple[Progress, io.StringIO]:
    stream = io.StringIO()
    return (
        Progress(
            Console(
                file=stream,
                force_terminal=terminal,
                width=100,
                soft_wrap=not terminal,
                highlight=False,
            )
        ),
        stream,
    )


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
    shown.start(THREE, finished, given_up, batches=2, forecast=12.7)
    assert stream.getvalue() == f"3 trials to run in 2 batches, about 13 s on this machine{notes}\n"


def test_failures_are_told_at_once_and_sums_at_the_end():
    shown, stream = progress()
    shown.start(THREE, 0, 0, batches=2, forecast=1.0)
    shown.advance(TRIALS[0], None, None)
    shown.advance(TRIALS[1], "nan", "the loss is [bold]nan[/bold]")
    shown.advance(TRIALS[2], None, None)
    lines = stream.getvalue().splitlines()
    assert lines[1] == f"{TRIALS[1].trial_id} sphere: nan: the loss is [bold]nan[/bold]", (
        "never read as markup"
    )
    assert lines[2].startswith("[3/3] ok 2 · failed 1 · ")
    assert len(lines) == 3, "no line per trial"


def test_time_left_is_by_work_and_not_by_trials(monkeypatch: pytest.MonkeyPatch):
    """The first trial to end was the longest: at 0.01 trials a second the other two would be
    another 200 s."""
    clock = [0.0]
    monkeypatch.setattr("harness.terminal.progress.time.monotonic", lambda: clock[0])
    shown, stream = progress()
    shown.start(THREE, 0, 0, batches=3, forecast=100.0)
    clock[0] = 80.0
    shown.advance(TRIALS[0], None, None)
    assert stream.getvalue().splitlines()[-1] == "[1/3] ok 1 · failed 0 · 0.01 trials/s · 20 s left"


@pytest.mark.parametrize(("forecast", "left"), [(100.0, 98), (None, 490), (5.0, 10)])
def test_a_first_trial_that_is_little_of_the_work_does_not_say_hours(
    forecast: float | None, left: int, monkeypatch: pytest.MonkeyPatch
):
    clock = [0.0]
    monkeypatch.setattr("harness.terminal.progress.time.monotonic", lambda: clock[0])
    shown, stream = progress()
    shown.start(
        {TRIALS[0].trial_id: 2.0, TRIALS[1].trial_id: 49.0, TRIALS[2].trial_id: 49.0},
        0,
        0,
        batches=3,
        forecast=forecast,
    )
    clock[0] = 10.0
    shown.advance(TRIALS[0], None, None)
    assert stream.getvalue().splitlines()[-1].endswith(f" · {left} s left")


def test_a_terminal_gets_a_bar_that_goes_away():
    shown, stream = progress(terminal=True)
    shown.start({t.trial_id: 0.0 for t in TRIALS[:2]}, 0, 0, batches=1, forecast=1.0)
    shown.advance(TRIALS[0], None, None)
    shown.advance(TRIALS[1], "bug", "oops")
    shown.stop()
    shown.stop()
    assert "2/2" in stream.getvalue() and "failed 1" in stream.getvalue()
    assert shown.bar is None


def test_nothing_to_run_shows_no_bar():
    shown, stream = progress(terminal=True)
    shown.start({}, 5, 0, batches=0, forecast=0.0)
    assert shown.bar is None
    assert stream.getvalue() == "0 trials to run, 5 finished before\n", (
        "without a forecast of nothing"
    )
