"""Ctrl-C in the middle of a run on Ray: finished trials are kept, no worker goes on, and the
command that the last line names does the rest.

The signal goes to the driver alone here. A terminal sends it to Ray and its workers as well:
test_run_interrupted.py.

Run alone: python -m pytest tests/on_ray/test_interrupted.py
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.dispatch import worker_pool
from harness.planning.cores import cores_here
from harness.store.store import Store
from harness.sweeps.trial import Batch
from tests import FAILING_TASK
from tests.conftest import Command
from tests.on_ray.conftest import CPUS

pytestmark = pytest.mark.ray

TRIALS = 5
FEW_WORKERS = f"resources: {{cpus: {min(cores_here(), CPUS)}}}\n"
"""Each more would load torch to do nothing."""

SWEEP = f"""\
name: slow
seeds: [0]
{FEW_WORKERS}tasks:
  - task: trouble
    fixed: {{nap: 0.5, max_epochs: 2000}}
    grid: {{n: {{range: [16, {16 + TRIALS}]}}}}
limits: {{measure_points: 0}}
"""
"""With this many epochs, every trial is a batch of its own."""

ARGUMENTS = ("run", "slow.yaml", "--task-file", str(FAILING_TASK), "--store", "rows")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal. What a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_after_the_first_row(store: Path, over: threading.Event) -> None:
    while not over.wait(0.02):
        if list(store.glob("part-*")):
            os.kill(os.getpid(), signal.SIGINT)
            return


def workers() -> list[str]:
    """Return the titles of this process's Ray workers that hold an actor of ours."""
    titles = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            titles += [title for title in child.cmdline()[:1] if title.startswith("ray::Worker")]
    return titles


def assert_no_worker_goes_on() -> None:
    deadline = time.monotonic() + 120  # on a machine that may be busy
    while workers():
        assert time.monotonic() < deadline, "a worker goes on in the background"
        time.sleep(0.1)


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(
    ray_here: None, interruptible: None, unilaw_here: Command, tmp_path: Path
):
    (tmp_path / "slow.yaml").write_text(SWEEP)
    store = tmp_path / "rows"
    over = threading.Event()
    threading.Thread(target=interrupt_after_the_first_row, args=[store, over]).start()
    try:
        ended = unilaw_here(*ARGUMENTS, cwd=tmp_path)
    finally:
        over.set()

    assert (ended.returncode, ended.stdout) == (130, ""), ended.stderr
    last_line = f"interrupted; finished trials are in rows. To go on: unilaw {' '.join(ARGUMENTS)}"
    assert ended.stderr.splitlines()[-1] == last_line
    assert "Traceback" not in ended.stderr
    assert_no_worker_goes_on()

    before = Store.open(store).read()
    finished = len(before.rows)
    assert before.problems == [] and 1 <= finished < TRIALS

    # inline, so many cores would stay the number of this process's threads
    (tmp_path / "slow.yaml").write_text(SWEEP.replace(FEW_WORKERS, ""))
    again = unilaw_here(*ARGUMENTS, "--inline", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"{TRIALS - finished} ok, 0 failed, {finished} finished before")
    rows = Store.open(store).read().rows
    assert (rows["trial_id"].nunique(), len(rows)) == (TRIALS, TRIALS)
    assert set(rows["status"]) == {"ok"} and set(rows["attempt"]) == {1}


def test_a_batch_that_starts_just_as_ctrl_c_comes_is_killed_with_the_rest(
    ray_here: None,
    interruptible: None,
    unilaw_here: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    def interrupted(batch: Batch) -> list[list[dict[str, Any]]]:
        os.kill(os.getpid(), signal.SIGINT)
        return plain(batch)

    plain = worker_pool._plain
    monkeypatch.setattr(worker_pool, "_plain", interrupted)
    (tmp_path / "slow.yaml").write_text(SWEEP)
    ended = unilaw_here(*ARGUMENTS, cwd=tmp_path)

    assert ended.returncode == 130, ended.stderr
    assert_no_worker_goes_on()
