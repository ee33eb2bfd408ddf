"""What a trial does to the process that it shares with others fails that trial at the most.

Run alone: python -m pytest tests/test_harmful_trials.py
"""

import io
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from rich.console import Console

from harness import run as run_module
from harness.errors import TrialFailure, UserError
from harness.execution.failures import failure
from harness.execution.shared_process import without_exit
from harness.run import run
from harness.store.schema import arrow_schema
from harness.store.store import Store
from harness.store.valid_rows import refusals
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Batch
from harness.terminal.progress import Progress
from tests import ROOT
from tests.planned import schedule_of

pytestmark = pytest.mark.slow

HARMFUL_TASK = ROOT / "tests" / "harmful_task.py"
GOOD = 6

BUGS = {
    "keyboard-interrupt": "KeyboardInterrupt: ",
    "mute": "MuteError: (its message cannot be had: __str__ raises ZeroDivisionError)",
    "float64": "must have the same dtype",
    "settings": "LookupError: and then it fails",
    "nan-dimension": "d_ambient() gave nan; it must be a whole number from 1 on",
    "unholdable": "the row cannot hold tokens_distinct = 1180591620717411303424",
}
"""Harm that fails the trial that does it, and what its row says."""


def sweep(how: str) -> Sweep:
    return parse_sweep(
        "name: harm\nseeds: [0]\nlimits: {attempts: 2, measure_points: 0}\ntasks:\n"
        f"  - {{task: harm, fixed: {{how: {how}}}}}\n"
        f"  - {{task: harm, seeds: {{range: [1, {GOOD + 1}]}}}}\n",
        "sweep.yaml",
        refs_in(HARMFUL_TASK),
    )


def run_in_one_batch(how: str, folder: Path) -> pd.DataFrame:
    """Run the trial before its neighbours, in one batch with them, and return the rows."""
    asked = sweep(how)
    store = Store.create(folder)
    progress = Progress(Console(file=io.StringIO()))
    with pytest.MonkeyPatch.context() as patch:
        together = schedule_of([Batch((asked.trials,))], 1.0)
        patch.setattr(run_module, "schedule", lambda *_: together)
        run(asked, store, None, True, False, progress)
    return store.read().rows


def settings() -> list[Any]:
    return [
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        list(warnings.filters),
        signal.getsignal(signal.SIGALRM),
        sys.stdout,
        os.getcwd(),
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    rows = run_in_one_batch("none", tmp_path_factory.mktemp("undisturbed"))
    assert set(rows["status"]) == {"ok"}
    return rows


@pytest.mark.parametrize(("how", "words"), BUGS.items(), ids=BUGS.keys())
def test_the_trial_fails_and_its_neighbours_do_not_notice(
    how: str, words: str, undisturbed: pd.DataFrame, tmp_path: Path
):
    before = settings()
    rows = run_in_one_batch(how, tmp_path).sort_values("seed")
    assert settings() == before

    (own,) = rows[rows["seed"] == 0].to_dict("records")
    assert own["failure_kind"] == "bug"
    assert words in own["failure_message"]

    mates = rows[rows["seed"] > 0]
    assert set(mates["status"]) == {"ok"} and len(mates) == GOOD
    alone = undisturbed[undisturbed["seed"] > 0].sort_values("seed")
    assert mates["train_loss"].tolist() == pytest.approx(alone["train_loss"].tolist(), rel=1e-4)


def test_a_trial_that_ends_its_process_inline_is_a_crash_as_on_ray(tmp_path: Path):
    rows = run_in_one_batch("os-exit", tmp_path)
    own = rows[rows["seed"] == 0]
    assert own["failure_kind"].tolist() == ["crash", "crash"]
    assert own["failure_message"].str.contains(r"os._exit\(0\), and --inline shares").all()
    assert rows.loc[rows["seed"] > 0, "status"].tolist() == ["ok"] * GOOD


def test_a_child_process_may_end_itself():
    with without_exit():
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        with pytest.raises(TrialFailure):
            os._exit(0)
    assert os._exit.__name__ == "_exit"


def test_a_failure_of_a_kind_that_there_is_not_is_a_bug():
    kind: Any = "flood"
    assert failure(TrialFailure(kind, "water")).failure_kind == "bug"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("d_ambient", float("nan")),
        ("p", 2**70),
        ("family", "half a character: \ud800"),
        ("train_loss", "low"),
        ("params_by_group", [{"group": 3}]),
        ("no-such-column", 1),
    ],
)
def test_a_value_that_no_row_can_hold_is_named(column: str, value: Any):
    (refused,) = refusals([{"status": "ok", column: value}])
    assert refused is not None and refused.startswith(column)


def test_nothing_is_refused_that_a_row_can_hold():
    empty = dict.fromkeys(arrow_schema().names)
    usual = {"train_loss": float("nan"), "p": 3, "family": "sphere"}
    assert refusals([empty, usual]) == [None, None]


DECLARED = {
    "max_gpus = 2": "says max_gpus = 2, and it must be 1",
    "version = '1.0'": "must be a whole number up to 2147483647, not '1.0'",
    "version = 2**40": "must be a whole number up to 2147483647, not 1099511627776",
}


@pytest.mark.parametrize(("line", "words"), DECLARED.items(), ids=DECLARED.keys())
def test_what_a_task_declares_is_checked_before_anything_runs(
    line: str, words: str, tmp_path: Path
):
    file = tmp_path / "mine.py"
    text = HARMFUL_TASK.read_text()
    file.write_text(text.replace('    name = "harm"\n', f'    name = "harm"\n    {line}\n'))
    with pytest.raises(UserError) as refused:
        refs_in(file)
    assert words in str(refused.value) and "task 'harm'" in str(refused.value)
