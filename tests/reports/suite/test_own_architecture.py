"""The mixer of docs/suite.md runs as the page says, and stands on the suite's charts by its name.

Run alone: python -m pytest tests/reports/suite/test_own_architecture.py
"""

import ast
from pathlib import Path

import pytest
import yaml

from reports.evidence import read_evidence
from reports.law import fit_all
from reports.sections import law
from reports.suite.suite import places_of
from tests import ROOT
from tests.test_readme import block

PAGE = (ROOT / "docs" / "suite.md").read_text()


def test_the_task_file_is_short_and_its_sweep_has_the_suites_cells():
    code = block(PAGE, "mixer")
    ast.parse(code)
    assert len(code.splitlines()) <= 35

    mine = yaml.safe_load(block(PAGE, "sweep"))["tasks"][0]
    suite = yaml.safe_load((ROOT / "tasks/sweeps/universal-v1-small.yaml").read_text())
    digits = next(entry for entry in suite["tasks"] if entry["fixed"].get("label_flip"))
    assert mine["fixed"] == digits["fixed"] and mine["grid"]["n"] == digits["grid"]["n"]


@pytest.mark.slow
def test_the_mixer_stands_on_the_suites_chart(tmp_path: Path, unilaw_here):
    (tmp_path / "mixer.py").write_text(block(PAGE, "mixer"))
    small = yaml.safe_load(block(PAGE, "sweep"))
    small["seeds"] = [0]
    small["limits"] = {"measure_points": 8}
    small["tasks"][0]["grid"] = {"n": [50], "width": [2, 4, 8]}
    small["tasks"][0]["fixed"]["max_epochs"] = 20
    (tmp_path / "mixer.yaml").write_text(yaml.safe_dump(small))

    checked = unilaw_here("check", "mixer.py", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    ran = ("run", "mixer.yaml", "--task-file", "mixer.py", "--inline")
    done = unilaw_here(*ran, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    evidence = read_evidence(tmp_path / "runs" / "mixer", *places_of("universal-v1"))
    kinds = set(evidence.trials["kind"])
    assert "mnist-mixer, ±1 target, 20 % flipped" in kinds
    assert "mnist-mlp, ±1 target, 20 % flipped" in kinds
    page = law.section(evidence, fit_all(evidence.trials))
    assert page is not None and "mnist-mixer, ±1 target, 20 % flipped" in page.html
