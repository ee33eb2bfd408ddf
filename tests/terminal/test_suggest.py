"""`unilaw suggest` writes a sweep that `unilaw plan` takes, and refuses what it cannot choose for.

Run alone: python -m pytest tests/terminal/test_suggest.py
"""

import shlex
from pathlib import Path

import pytest

import unilaw
from harness.commands.suggested_sweep import _comments, budget_of, suggested_sweep
from harness.errors import UserError
from harness.planning import machine_speed
from harness.sweeps.sweep import load_sweep
from reports.evidence import read_evidence
from reports.suggest.question import ask
from reports.suggest.suggestion import Suggestion
from reports.suite.suite import UNIVERSAL_V1

SMALL = str(UNIVERSAL_V1.references[0].folder)
KIND = "sphere, ±1 target, pure noise"


@pytest.mark.parametrize(
    ("text", "seconds", "unit"),
    [
        ("2h", 7200, "s"),
        ("90 min", 5400, "s"),
        ("1e18FLOP", 1e18, "FLOP"),
        ("3e9 flops", 3e9, "FLOP"),
    ],
)
def test_a_budget_has_a_unit(text: str, seconds: float, unit: str):
    assert budget_of(text) == (seconds, unit)


@pytest.mark.parametrize("text", ["2", "h", "-1h", "0s", "1e18", "1..2h", "1e999FLOP", "2 weeks"])
def test_another_budget_is_refused(text: str):
    with pytest.raises(UserError, match="must be a positive number with its unit"):
        budget_of(text)


@pytest.mark.slow
def test_the_next_trials_are_a_sweep_of_new_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """FLOPs as budget: no machine is timed, and the sum holds."""
    monkeypatch.setattr(machine_speed, "measured", lambda device: machine_speed.SMALL_MACHINE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = suggested_sweep(SMALL, KIND, "3e11FLOP", {}, False, lambda line: None)
    (tmp_path / "next.yaml").write_text(text)

    sweep = load_sweep(str(tmp_path / "next.yaml"))
    assert sweep.trials and {trial.ref.name for trial in sweep.trials} == {"sphere"}
    assert not {t.trial_id for t in sweep.trials} & set(unilaw.rows(SMALL)["trial_id"])
    planned = unilaw.plan(tmp_path / "next.yaml")
    assert planned.flops_at_most <= 3e11 and planned.trials == len(sweep.trials)

    before, after = (float(x) for x in _between(text, "fitted model: ", " now, ", " with"))
    assert 0 < after < before


@pytest.mark.slow
def test_the_next_command_can_be_copied_whatever_the_store_is_called():
    """Two spaces in a row and a $ included; a line break does not end the comment."""
    question = ask(read_evidence(SMALL), KIND)
    chosen = Suggestion([], 0.2, 0.1, 3.0)
    name = "the  rows\nof $HOME"
    head = _comments(name, question, chosen, ("1h", "s"), 2)
    assert f"run THIS --store {shlex.quote('the  rows of $HOME')}\n" in head
    assert all(line.startswith("# ") for line in head.splitlines())


def _between(text: str, start: str, middle: str, end: str) -> tuple[str, str]:
    first, _, rest = text.partition(start)[2].partition(middle)
    return first, rest.partition(end)[0]
