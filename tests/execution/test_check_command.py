"""`unilaw check` and `unilaw new-task` as a task's author types them.

Run alone: python -m pytest tests/execution/test_check_command.py
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.execution.global_generators import STATES
from harness.store.data_note import NOTES, SHARED, shared_draws
from tests import ROOT
from tests.execution.tried_tasks import SOUND, changed, findings
from tests.test_readme import TASK_PAGE, block

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("example", ["task", "classes"])
def test_the_guides_examples_pass_every_check(tmp_path: Path, example: str):
    found = findings(tmp_path, block(TASK_PAGE, example))
    assert {finding.sign for finding in found.values()} == {"✓"}, found


def test_check_exits_with_2_for_a_failed_check_and_for_bad_input(tmp_path: Path, unilaw_here):
    (tmp_path / "tried.py").write_text(SOUND)
    done = unilaw_here("check", "tried.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "10 of 10 checks passed"

    (tmp_path / "tried.py").write_text(changed(("return (3,)", "return 3")))
    done = unilaw_here("check", "tried.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "input shape ✗" in done.stdout or "✗  input shape" in done.stdout

    for arguments, words in ((["none.py"], "cannot be read"), ([__file__], "defines no task")):
        done = unilaw_here("check", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "") and words in done.stderr


def test_a_new_task_passes_the_checks_and_a_small_sweep_runs_it(tmp_path: Path, unilaw_here):
    made = unilaw_here("new-task", "my-own", cwd=tmp_path)
    assert made.returncode == 0 and "unilaw check my-own.py" in made.stdout
    checked = unilaw_here("check", "my-own.py", cwd=tmp_path)
    assert checked.stdout.splitlines()[-1] == "10 of 10 checks passed", checked.stdout

    planned = unilaw_here("plan", "my-own.yaml", "--task-file", "my-own.py", "--json", cwd=tmp_path)
    plan = json.loads(planned.stdout)
    assert (plan["trials"], len(plan["cells"]), plan["uncounted"]) == (30, 15, [])
    smallest = plan["cells"][0]["trial_ids"][0]
    run = ("run", "my-own.yaml", "--task-file", "my-own.py", "--inline", "--trial", smallest)
    ran = unilaw_here(*run, cwd=tmp_path)
    assert ran.returncode == 0 and ran.stdout.startswith("1 ok, 0 failed"), ran.stderr


SMALL = """
name: mine
seeds: [0]
limits: {measure_points: 8}
tasks: [{task: mine, fixed: {n: 20}, grid: {width: [64, 256]}}]
"""


def test_a_new_task_runs_from_python_as_the_page_of_rows_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unilaw_here
):
    assert unilaw_here("new-task", "mine", cwd=tmp_path).returncode == 0
    (tmp_path / "mine.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    left: dict[str, Any] = {}
    exec(block((ROOT / "docs" / "rows.md").read_text(), "own"), left)
    assert left["against_p"]["p"].tolist() == [64 * 22 + 1, 256 * 22 + 1]


def test_new_task_refuses_bad_names_and_overwrites_nothing(tmp_path: Path, unilaw_here):
    for name, words in (("sphere", "is taken"), ("../x", "must be lower-case"), ("A", "must be")):
        done = unilaw_here("new-task", name, cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr
    (tmp_path / "mine.yaml").write_text("kept")
    done = unilaw_here("new-task", "mine", cwd=tmp_path)
    assert done.stderr == "unilaw: mine.yaml is there already, and nothing is overwritten\n"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_row_says_that_its_data_came_from_a_shared_generator(tmp_path: Path, unilaw_here):
    (tmp_path / "tried.py").write_text(changed(('seeds.generator("data")', "None")))
    (tmp_path / "tried.yaml").write_text(
        "name: t\nseeds: [0]\ntasks: [{task: tried, fixed: {max_epochs: 1}}]\n"
    )
    done = unilaw_here("run", "tried.yaml", "--task-file", "tried.py", "--inline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (note,) = pd.read_parquet(tmp_path / "runs" / "t")["data_note"]
    assert note == shared_draws(["torch"])
    assert SHARED == tuple(STATES) and note in NOTES, "these sentences alone are sent on"
