"""`--json` of tasks and plan, one task by its name, what a store already has of a plan, and
`--quiet`.

Run alone: python -m pytest tests/terminal/test_machine_readable.py
"""

import json
from pathlib import Path

import pytest

from harness.store.schema import COLUMNS
from harness.sweeps.installed import BUILT_IN
from harness.sweeps.sweep import parse_sweep
from tests.reports.stores import failed, make_store, row

SMALL = """\
name: small
seeds: [0, 1]
tasks:
  - task: sphere
    fixed: {n: 16, d: 3, max_epochs: 2}
    grid: {width: [2, 4]}
"""

IDS = [trial.trial_id for trial in parse_sweep(SMALL, "small.yaml").trials]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


@pytest.mark.slow
def test_tasks_as_json(folder: Path, unilaw_here):
    found = json.loads(unilaw_here("tasks", "--json", cwd=folder).stdout)
    assert [task["name"] for task in found["tasks"]] == sorted(BUILT_IN)
    assert [column["name"] for column in found["columns"]] == [c.name for c in COLUMNS]
    sphere = next(task for task in found["tasks"] if task["name"] == "sphere")
    fields = {field["name"]: field for field in sphere["fields"]}
    assert fields["width"]["default"] == 64 and fields["stop"]["default"] == "noise"
    assert fields["width"]["type"].startswith("int ≥ 1")


def test_one_task_by_its_name(folder: Path, unilaw_here):
    done = unilaw_here("tasks", "sphere", cwd=folder)
    assert done.stdout.startswith("sphere (version ") and "mnist (version" not in done.stdout
    assert "Every task reports these columns" not in done.stdout

    done = unilaw_here("tasks", "spere", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown task 'spere'" in done.stderr and "did you mean 'sphere'?" in done.stderr


def test_a_plan_names_its_trials_and_says_what_a_store_has(folder: Path, unilaw_here):
    made = json.loads(unilaw_here("plan", "small.yaml", "--json", cwd=folder).stdout)
    by_cell = [cell["trial_ids"] for cell in made["cells"]]
    assert sorted(sum(by_cell, [])) == sorted(IDS) and [len(ids) for ids in by_cell] == [2, 2]
    assert made["in_store"] is None

    rows = [{**row(10), "trial_id": IDS[0]}, {**failed(p=20), "trial_id": IDS[2]}]
    make_store(folder / "rows", [*rows, row(30)], sweep=False)
    asked = ("plan", "small.yaml", "--store", "rows")
    made = json.loads(unilaw_here(*asked, "--json", cwd=folder).stdout)
    assert made["in_store"] == {IDS[0]: "ok", IDS[1]: None, IDS[2]: "failed", IDS[3]: None}
    last = unilaw_here(*asked, cwd=folder).stdout.splitlines()[-1]
    assert last == "In rows: 1 ok, 1 failed, 2 without a row."

    done = unilaw_here("plan", "small.yaml", "--store", "nothing", cwd=folder)
    assert done.returncode == 2 and "there is no store 'nothing'" in done.stderr


@pytest.mark.slow
def test_a_quiet_run_says_its_result_alone(folder: Path, unilaw_here):
    done = unilaw_here("run", "small.yaml", "--inline", "--quiet", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("4 ok, 0 failed, 0 finished before, ")

    done = unilaw_here("run", "none.yaml", "--inline", "--quiet", cwd=folder)
    assert done.returncode == 2 and done.stderr.startswith("unilaw: there is no sweep file")
