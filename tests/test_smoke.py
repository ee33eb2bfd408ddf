"""What every set of versions must do: help of every command, a sweep inline and on Ray, a report.

Run alone: python -m pytest tests/test_smoke.py
"""

import re

import pandas as pd
import pytest

SWEEP = """
name: smoke
seeds: [0]
tasks:
  - task: sphere
    fixed: {n: 64, max_epochs: 20}
    grid: {width: [4, 8, 16, 32]}
limits: {measure_points: 8}
"""


@pytest.mark.slow
def test_every_command_has_help(tmp_path, unilaw_here):
    listed = unilaw_here("--help", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    commands = re.findall(r"^  ([a-z]+)  ", listed.stdout, re.M)
    assert {"plan", "run", "launch", "cancel", "report"} <= set(commands)

    for command in commands:
        shown = unilaw_here(command, "--help", cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
        # Some versions of typer name an option after its metavar.
        assert not re.search(r"--[A-Z]", shown.stdout), command


@pytest.mark.soak  # every version must do it; of these versions, other tests show more
@pytest.mark.parametrize("how", [[], ["--inline"]], ids=["ray", "inline"])
def test_a_sweep_and_its_report(how: list[str], tmp_path, unilaw):
    (tmp_path / "smoke.yaml").write_text(SWEEP)
    done = unilaw("run", "smoke.yaml", "--store", "rows", *how, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(tmp_path / "rows")
    assert len(rows) == 4 and rows["status"].eq("ok").all()

    shown = unilaw("report", "rows", "-o", "page.html", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    page = (tmp_path / "page.html").read_text()
    assert all(trial in page for trial in rows["trial_id"])
