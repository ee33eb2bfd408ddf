"""Progress as plain lines where there is no terminal, and a bar of one line that is taken down
where there is one.

Run alone: python -m pytest tests/terminal/test_progress.py
"""

import io

import pytest
from rich.console import Console
from rich.file_proxy import FileProxy

from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch
from harness.terminal.progress import Progress, RaisingConsole

TRIALS = parse_sweep("name: a\nseeds: [0, 1, 2]\ntasks:\n  - task: sphere\n", "sweep.yaml").trials
THREE = {TRIALS[0].trial_id: 8.0, TRIALS[1].trial_id: 1.0, TRIALS[2].trial_id: 1.0}
BATCHES = [Batch(((TRIALS[0],),)), Batch((tuple(TRIALS[1:]),))]
PLANNED = [[trial.trial_id for trial in batch.trials] for batch in BATCHES]


def progress(terminal: bool = False) -> tuple[Progress, io.StringIO]:
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=terminal, width=100, soft_wrap=not terminal, highlight=False
    )
    return Progress(console), stream


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a clock whose first entry is the time."""
    now = [0.0]
    monkeypatch.setattr("harness.terminal.progress.time.monotonic", lambda: now[0])
    return now


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
    shown.start(THREE, finished, given_up, PLANNED, forecast=12.7)
    assert stream.getvalue() == f"3 trials to run in 2 batches, about 13 s on this machine{notes}\n"


def test_failures_are_told_at_once_and_sums_at_the_end(clock: list[float]):
    shown, stream = progress()
    shown.start(THREE, 0, 0, PLANNED, forecast=1.0)
    clock[0] = 200.0
    shown.advance(TRIALS[0], None, None)
    shown.advance(TRIALS[1], "nan", "the loss is [bold]nan[/bold]")
    shown.advance(TRIALS[2], None, None)
    lines = stream.getvalue().splitlines()
    assert lines[1] == f"{TRIALS[1].trial_id} sphere: nan: the loss is [bold]nan[/bold]", (
        "never read as markup"
    )
    assert lines[2] == "2 done · 1 failed · all 3 over after 3 min"
    assert len(lines) == 3, "no line per trial"


def test_the_line_says_what_runs_and_what_is_left(clock: list[float]):
    shown, _ = progress()
    shown.start(THREE, 0, 0, PLANNED, forecast=30.0, expected_factor=1.0, at_a_time=2)
    assert shown.line() == "0 done · 3 waiting · starting, about 30 s left"
    clock[0] = 40.0
    assert shown.line() == "0 done · 3 waiting · starting", "and nothing that nobody knows"

    shown.begin(BATCHES[0])
    assert shown.line() == "0 done · 1 running · 2 waiting · about 8 s left"
    clock[0] = 140.0
    assert shown.line().endswith(" · about 50 s left"), (
        "the first batch takes twelve times as long as it should, so nobody knows when it ends"
    )

    shown.end(BATCHES[0])
    assert shown.line().startswith("0 done · 1 running · 2 waiting"), "its row is being written"
    shown.advance(TRIALS[0], "bug", "oops")
    assert shown.line().startswith("0 done · 1 failed · 2 waiting")
    shown.entered()
    shown.begin(BATCHES[1])
    assert shown.line().startswith("0 done · 1 failed · 2 running · 0 waiting · about ")


def test_plain_lines_come_with_the_next_batch_and_not_within_ten_seconds(clock: list[float]):
    shown, stream = progress()
    shown.start(THREE, 0, 0, PLANNED, forecast=30.0, expected_factor=1.0)
    shown.begin(BATCHES[0])
    clock[0] = 8.0
    shown.end(BATCHES[0])
    shown.advance(TRIALS[0], None, None)
    shown.entered()
    assert len(stream.getvalue().splitlines()) == 1
    clock[0] = 12.0
    shown.begin(BATCHES[1])
    assert stream.getvalue().splitlines()[1:] == ["1 done · 2 running · 0 waiting · about 2 s left"]


def test_plain_lines_go_on_when_no_batch_is_left_to_begin(clock: list[float]):
    shown, stream = progress()
    shown.start(THREE, 0, 0, PLANNED, forecast=30.0, expected_factor=1.0, at_a_time=2)
    for batch in BATCHES:
        shown.begin(batch)
    clock[0] = 20.0
    shown.end(BATCHES[1])
    for trial in TRIALS[1:]:
        shown.advance(trial, None, None)
    shown.entered()
    (line,) = stream.getvalue().splitlines()[1:]
    assert line == "2 done · 1 running · 0 waiting · about 45 s left"

    clock[0] = 60.0
    shown.end(BATCHES[0])
    shown.advance(TRIALS[0], None, None)
    shown.entered()
    assert stream.getvalue().splitlines()[2:] == ["3 done · all 3 over after 60 s"]


def test_measuring_again_knows_no_time_until_a_batch_has_ended(clock: list[float]):
    shown, _ = progress()
    shown.start(dict.fromkeys(THREE, 1.0), 0, 0, PLANNED, forecast=None)
    shown.begin(BATCHES[0])
    clock[0] = 50.0
    assert shown.line() == "0 done · 1 running · 2 waiting · time left unknown"
    shown.end(BATCHES[0])
    shown.advance(TRIALS[0], None, None)
    shown.entered()
    assert shown.line() == "1 done · 2 waiting · about 2 min left"


def test_a_terminal_gets_a_bar_that_goes_away():
    shown, stream = progress(terminal=True)
    shown.start({t.trial_id: 0.0 for t in TRIALS[:2]}, 0, 0, PLANNED[:1], forecast=1.0)
    shown.advance(TRIALS[0], None, None)
    shown.advance(TRIALS[1], "bug", "oops")
    shown.stop()
    shown.stop()
    assert "1 done · 1 failed · all 2 over" in stream.getvalue()
    assert shown.bar is None


def test_a_reset_of_colours_after_the_bar_is_no_empty_line():
    stream = io.StringIO()
    console = RaisingConsole(file=stream, force_terminal=True)
    standing_in = FileProxy(console, stream)  # what Ray's modules take for stderr beside a bar
    standing_in.write("\x1b[0m")
    standing_in.flush()
    assert stream.getvalue() == ""
    standing_in.write("a worker died\n")
    assert "a worker died" in stream.getvalue()


def test_nothing_to_run_shows_no_bar():
    shown, stream = progress(terminal=True)
    shown.start({}, 5, 0, [], forecast=0.0)
    assert shown.bar is None
    assert stream.getvalue() == "0 trials to run, 5 finished before\n", (
        "without a forecast of nothing"
    )


def test_a_terminal_shows_at_once_what_is_loading_and_the_next_line_replaces_it():
    shown, stream = progress(terminal=True)
    shown.loading("reading small.yaml")
    assert stream.getvalue() == "reading small.yaml …\r"
    shown.say("3 trials")
    assert stream.getvalue() == "reading small.yaml …\r\x1b[2K3 trials\n"

    shown.loading("reading small.yaml")
    shown.stop()
    assert stream.getvalue().endswith("…\r\x1b[2K")

    shown, stream = progress()
    shown.loading("reading small.yaml")
    assert stream.getvalue() == ""
