"""A run that is cut off, by Ctrl-C or by losing its driver, keeps what was finished and completes
when run again.

Run alone: python -m pytest tests/test_run_interrupted.py
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from harness.planning.cores import cores_here
from harness.store.store import Store
from tests import FAILING_TASK
from tests.conftest import UNILAW
from tests.nodes import in_session

# Each starts Ray for itself. tests/on_ray/test_interrupted.py sends Ctrl-C to a driver alone.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.soak,
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="follows processes through /proc"
    ),
]

TRIALS = 3
ONE_AT_A_TIME = f"resources: {{cpus: {cores_here()}}}\n"
"""One worker takes all trials: the start of another would take longer than the trials."""

SLOW = f"""\
name: slow
seeds: [0]
{ONE_AT_A_TIME}tasks:
  - task: trouble
    fixed: {{nap: 0.5, max_epochs: 2000}}
    grid: {{n: {{range: [16, {16 + TRIALS}]}}}}
limits: {{measure_points: 0}}
"""
"""With this many epochs, every trial is a batch of its own."""

ARGUMENTS = ["run", "slow.yaml", "--task-file", str(FAILING_TASK), "--store", "rows"]


def working(session: int) -> list[str]:
    """Return the command lines of the processes that could still run trials: the driver, Ray's
    scheduler and its workers."""
    workers = ("ray::IDLE", "ray::Worker")
    return [
        command
        for command in in_session(session).values()
        if "unilaw" in command or "raylet" in command.split(" ")[0] or command.startswith(workers)
    ]


@pytest.fixture
def half_way(tmp_path: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A run in a session of its own, with at least one of its trials done and another under way."""
    (tmp_path / "slow.yaml").write_text(SLOW)
    # what a shell starts in the background ignores the signal, and so do its children
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [UNILAW, *ARGUMENTS],
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)

    try:
        while not list(tmp_path.glob("rows/part-*")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        yield process
    finally:
        for pid in in_session(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=60)


def finish(unilaw_here, folder: Path) -> None:
    """Run again. Every trial must then be there, and no finished one twice."""
    before = Store.open(folder / "rows").read()
    assert before.problems == [] and 1 <= len(before.rows) < TRIALS

    # inline, so many cores would stay the number of this process's threads
    (folder / "slow.yaml").write_text(SLOW.replace(ONE_AT_A_TIME, ""))
    done = unilaw_here(*ARGUMENTS, "--inline", cwd=folder)
    assert done.returncode == 0, done.stderr
    finished = len(before.rows)
    assert done.stdout.startswith(f"{TRIALS - finished} ok, 0 failed, {finished} finished before")

    rows = pd.read_parquet(folder / "rows")
    assert (rows["trial_id"].nunique(), len(rows)) == (TRIALS, TRIALS)
    assert set(rows["status"]) == {"ok"} and set(rows["attempt"]) == {1}


def test_ctrl_c_says_how_to_go_on(unilaw_here, half_way: subprocess.Popen[str], tmp_path: Path):
    # as a terminal does: to the driver, to Ray and to its workers
    os.killpg(half_way.pid, signal.SIGINT)
    out, err = half_way.communicate(timeout=120)
    assert half_way.returncode == 130
    how_to_go_on = f"unilaw {' '.join(ARGUMENTS)}"
    last_line = f"interrupted; finished trials are in rows. To go on: {how_to_go_on}"
    assert err.splitlines()[-1] == last_line
    assert "Traceback" not in err
    assert out == ""
    assert working(half_way.pid) == [], "nothing goes on in the background"
    finish(unilaw_here, tmp_path)


def test_sigterm_ends_it_as_ctrl_c_does(half_way: subprocess.Popen[str], tmp_path: Path):
    # as `timeout` does: to the driver first, and then to all
    half_way.terminate()
    os.killpg(half_way.pid, signal.SIGTERM)
    told = time.monotonic()
    out, err = half_way.communicate(timeout=120)
    while working(half_way.pid):
        assert time.monotonic() - told < 10, "workers are gone within 10 s"
        time.sleep(0.1)

    assert half_way.returncode == 143, err
    assert err.splitlines()[-1].startswith("interrupted; finished trials are in rows. To go on:")
    assert "Traceback" not in err and "SIGABRT" not in err
    assert out == ""
    kept = Store.open(tmp_path / "rows").read()
    assert kept.problems == [] and 1 <= len(kept.rows) < TRIALS


def test_a_killed_driver_loses_only_what_was_under_way(
    unilaw_here, half_way: subprocess.Popen[str], tmp_path: Path
):
    os.kill(half_way.pid, signal.SIGKILL)
    assert half_way.wait(timeout=60) == -signal.SIGKILL
    while working(half_way.pid):  # Ray's own processes notice within seconds
        time.sleep(0.1)
    finish(unilaw_here, tmp_path)
