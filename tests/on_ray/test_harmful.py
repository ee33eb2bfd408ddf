"""On Ray, too, what a trial does to its worker's process fails that trial at the most. Four kinds
of harm share one batch of one run with good trials.

Run alone: python -m pytest tests/on_ray/test_harmful.py
"""

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness import run as run_module
from harness.run import run
from harness.store.store import Store
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch
from harness.terminal.progress import Progress
from tests.planned import schedule_of
from tests.test_harmful_trials import BUGS, GOOD, HARMFUL_TASK

pytestmark = pytest.mark.ray

HARMS = ("keyboard-interrupt", "mute", "float64", "nan-dimension")

SWEEP = f"""
name: harm
seeds: [0]
limits: {{attempts: 2, measure_points: 4}}
tasks:
  - {{task: harm, grid: {{how: [{", ".join(HARMS)}]}}}}
  - {{task: harm, seeds: {{range: [1, {GOOD + 1}]}}}}
"""


def test_each_harm_costs_its_own_trial_and_the_good_ones_are_ok(
    ray_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = parse_sweep(SWEEP, "sweep.yaml", refs_in(HARMFUL_TASK))
    together = schedule_of([Batch((asked.trials,))], 1.0)
    monkeypatch.setattr(run_module, "schedule", lambda *_: together)
    store = Store.create(tmp_path / "rows")
    outcome = run(asked, store, None, False, False, Progress(Console(file=io.StringIO())))
    assert outcome.ok == GOOD and outcome.failed == {"bug": len(HARMS)}

    rows = store.read().rows
    assert len(rows) == GOOD + len(HARMS), "one row a trial"
    assert set(rows.loc[rows["seed"] > 0, "status"]) == {"ok"}
    for how in HARMS:
        (own,) = rows[rows["config_json"].str.contains(f'"{how}"')].to_dict("records")
        assert own["failure_kind"] == "bug"
        assert BUGS[how] in own["failure_message"]
