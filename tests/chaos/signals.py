"""Runs that are told to end in every way, a worker that is, and a Ray that stops answering.

The sweep is one long trial, which trains alone, beside short ones. The same command is run again
after each blow, until the last one lets it finish. Each blow's seconds go to stderr as it ends.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import load_sweep
from tests import FAILING_TASK
from tests.chaos.store_auditor import UNILAW, Result, StoreAuditor
from tests.nodes import busy, end, in_session

SWEEP = """
name: signals
seeds: [0]
limits: {{attempts: 3, measure_points: 0}}
tasks:
  - task: sphere
    fixed: {{stop: epochs, n: 256, width: 32, max_epochs: {epochs}}}
  - task: trouble
    fixed: {{max_epochs: 2000}}
    grid: {{n: {{range: [16, {end}]}}}}
"""
"""The long trial is a batch of its own; the short ones share two batches, of up to 30 s."""

AT_WORK_S = 3.0
"""How long the long trial has been at work when a blow falls."""

GONE_S = 10.0
"""How long the processes of a run that has ended may stay."""

SILENCE_S = 90.0
"""How long a run may take to end after its Ray has stopped answering."""

STOPPED_S = 45.0
"""How long the driver itself is stopped, as by a closed laptop."""


class Blow(NamedTuple):
    """What is done to a run half way, and how the run must end."""

    name: str
    strike: Callable[[subprocess.Popen[str]], None]
    code: int
    words: str
    saves: bool = False
    """Whether the long trial must have written a checkpoint."""
    within_s: float = 30.0


def _to_driver(signum: int) -> Callable[[subprocess.Popen[str]], None]:
    return lambda run: run.send_signal(signum)


def _to_all(signum: int) -> Callable[[subprocess.Popen[str]], None]:
    return lambda run: os.killpg(run.pid, signum)


def _stop_reading(run: subprocess.Popen[str]) -> None:
    assert run.stderr
    run.stderr.close()


def _to_a_worker(run: subprocess.Popen[str]) -> None:
    (worker, *_) = busy(run.pid)
    os.kill(worker, signal.SIGTERM)


def _stop_head(run: subprocess.Popen[str]) -> None:
    (head,) = [pid for pid, command in in_session(run.pid).items() if "gcs_server" in command[:200]]
    os.kill(head, signal.SIGSTOP)


def _stop_driver_for_a_while(run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGSTOP)
    time.sleep(STOPPED_S)
    run.send_signal(signal.SIGCONT)


INTERRUPTED = "interrupted; finished trials are in rows. To go on: unilaw run signals.yaml"
BLOWS = (
    Blow("SIGTERM to the driver", _to_driver(signal.SIGTERM), 143, INTERRUPTED, saves=True),
    Blow("SIGTERM to all", _to_all(signal.SIGTERM), 143, INTERRUPTED),
    Blow("SIGHUP to all", _to_all(signal.SIGHUP), 129, INTERRUPTED),
    Blow("Ctrl-C", _to_all(signal.SIGINT), 130, INTERRUPTED, saves=True),
    # it learns so at its next line, which the next batch that ends brings
    Blow("reader gone", _stop_reading, 141, "", within_s=200),
    Blow("head stopped", _stop_head, 2, "Ray has not answered for 30 s", within_s=SILENCE_S),
    Blow("driver stopped for a while", _stop_driver_for_a_while, 0, "", within_s=600),
)
"""The last one lets the run finish."""


def told_to_end(folder: Path, environment: dict[str, str]) -> Result:
    """Strike one run after another, and let the last one finish."""
    (folder / "signals.yaml").write_text(SWEEP.format(epochs=40_000, end=16 + 3 * len(BLOWS)))
    auditor = StoreAuditor(folder / "rows")
    seconds = {}
    for blow in BLOWS:
        if auditor.failures:
            break
        clock = time.monotonic()
        _strike(blow, folder, environment, auditor)
        seconds[blow.name] = round(time.monotonic() - clock, 1)
        print(f"{blow.name}: {seconds[blow.name]} s", file=sys.stderr, flush=True)

    asked = load_sweep(str(folder / "signals.yaml"), refs_in(FAILING_TASK)).trials
    rows = auditor.conclude([trial.trial_id for trial in asked], failed={"crash": len(BLOWS)})
    return Result(
        "told to end",
        {blow.name: 1 for blow in BLOWS},
        {**auditor.counts(rows), "seconds": seconds},
        auditor.failures,
    )


def a_worker_is_told(folder: Path, environment: dict[str, str]) -> Result:
    """Send SIGTERM to a worker. Its trial must be tried again, and the run end well."""
    (folder / "signals.yaml").write_text(SWEEP.format(epochs=2000, end=22))
    auditor = StoreAuditor(folder / "rows")
    blow = Blow("SIGTERM to a worker", _to_a_worker, 0, "trying again", within_s=600)
    _strike(blow, folder, environment, auditor)

    asked = load_sweep(str(folder / "signals.yaml"), refs_in(FAILING_TASK)).trials
    rows = auditor.conclude([trial.trial_id for trial in asked], failed={"crash": 1})
    if (rows["failure_kind"] == "crash").sum() != 1:
        auditor.failures.append("the worker's trial has no failed attempt")
    return Result("worker told to end", {blow.name: 1}, auditor.counts(rows), auditor.failures)


def _strike(blow: Blow, folder: Path, environment: dict[str, str], auditor: StoreAuditor) -> None:
    """Run the command, strike while it is at work and the store has rows, and check how it ends."""
    options = ["--task-file", str(FAILING_TASK), "--store", "rows"]
    # what a shell starts in the background ignores Ctrl-C, and so do its children
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    run = subprocess.Popen(
        [UNILAW, "run", "signals.yaml", *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, before)
    try:
        at_work = 0.0
        while at_work < AT_WORK_S or not auditor.row_files():
            if run.poll() is not None:
                auditor.failures.append(f"{blow.name}: ended too early: {run.communicate()}")
                return
            time.sleep(0.05)
            at_work += 0.05 if busy(run.pid) else 0.0

        struck = time.time()
        blow.strike(run)
        _check_end(blow, run, auditor)
        print(f"{blow.name}: over {time.time() - struck:.1f} s later", file=sys.stderr, flush=True)
        _check_checkpoint(blow, folder, struck, auditor)
        auditor.look(blow.name)
    except subprocess.TimeoutExpired:
        auditor.failures.append(f"{blow.name}: the run does not end")
    finally:
        end(run.pid)
        run.wait()


def _check_end(blow: Blow, run: subprocess.Popen[str], auditor: StoreAuditor) -> None:
    if run.stderr and run.stderr.closed:
        run.wait(blow.within_s)
        output = ""
    else:
        output = "".join(run.communicate(timeout=blow.within_s))

    if run.returncode != blow.code or blow.words not in output:
        auditor.failures.append(f"{blow.name}: ended with {run.returncode}: {output[-1500:]}")
    if "Traceback" in output or "*** SIG" in output or "Check failed" in output:
        auditor.failures.append(f"{blow.name}: a stack trace: {output[-1500:]}")

    deadline = time.monotonic() + GONE_S
    while in_session(run.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    if left := in_session(run.pid):
        auditor.failures.append(f"{blow.name}: still there after {GONE_S:.0f} s: {left}")


def _check_checkpoint(blow: Blow, folder: Path, struck: float, auditor: StoreAuditor) -> None:
    written = [path.stat().st_mtime for path in (folder / "rows" / "_checkpoints").glob("[!_]*")]
    if blow.saves and not any(moment >= struck for moment in written):
        auditor.failures.append(f"{blow.name}: the long trial has written no checkpoint")
