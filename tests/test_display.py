"""Nothing that the display does, or cannot do, costs a run a row.

Run alone: python -m pytest tests/test_display.py
"""

import errno
import io
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from harness import run as run_module
from harness.interruption import Interrupted, exit_code
from harness.run import Outcome, run
from harness.store.store import Store
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, Trial
from harness.terminal.progress import Progress, RaisingConsole
from tests import FAILING_TASK
from tests.chaos.store_auditor import UNILAW
from tests.planned import schedule_of

SWEEP = """
name: small
seeds: [0]
limits: {measure_points: 0}
tasks:
  - task: trouble
    fixed: {how: raise}
    grid: {n: [16, 17, 18]}
"""
"""Three trials, each of which has something to say."""


class Broken(io.StringIO):
    """A stream that fails at every write from the second line on."""

    def __init__(self, error: OSError):
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        if "trials to run" not in text:
            raise self.error
        return super().write(text)


def run_each_alone(store: Path, progress: Progress) -> Outcome:
    asked = parse_sweep(SWEEP, "sweep.yaml", refs_in(FAILING_TASK))
    alone = schedule_of([Batch(((trial,),)) for trial in asked.trials], 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "schedule", lambda *_: alone)
        return run(asked, Store.create(store), None, True, False, progress)


def rows(store: Path) -> pd.DataFrame:
    return Store.open(store).read().rows


def test_rows_come_before_the_display(tmp_path: Path):
    class Failing(Progress):
        def advance(self, trial: Trial, kind: str | None, message: str | None) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_each_alone(tmp_path, Failing(Console(file=io.StringIO())))
    assert len(rows(tmp_path)) == 1


def test_a_full_disk_behind_the_display_costs_its_lines_alone(tmp_path: Path):
    full = Broken(OSError(errno.ENOSPC, "No space left on device"))
    outcome = run_each_alone(tmp_path, Progress(RaisingConsole(file=full)))
    assert outcome.failed == {"bug": 3}
    assert len(rows(tmp_path)) == 3


def test_a_reader_that_goes_away_ends_the_run_and_costs_no_row(tmp_path: Path):
    with pytest.raises(Interrupted) as caught:
        run_each_alone(tmp_path, Progress(RaisingConsole(file=Broken(BrokenPipeError()))))
    assert exit_code(caught.value) == 141
    assert len(rows(tmp_path)) == 1, "the batch whose line was not read"


@pytest.mark.soak  # in this process above, and for a command that does nothing in test_streams.py
@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [("2>&1 | true", 141, ""), ("2>/dev/full", 1, "0 ok, 3 failed (3 bug)")],
    ids=["gone", "full"],
)
def test_the_command_says_so_with_its_exit_code(
    redirection: str, code: int, said: str, environment: dict[str, str], tmp_path: Path
):
    (tmp_path / "a.yaml").write_text(SWEEP)
    options = f"--task-file {FAILING_TASK} --store rows --inline"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{UNILAW} run a.yaml {options} {redirection}"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert done.returncode == code and done.stdout.startswith(said)
    if said:
        assert len(rows(tmp_path / "rows")) == 3
