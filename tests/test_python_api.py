"""`import unilaw`: it takes what the commands take, gives what they give and refuses what they
refuse.

Run alone: python -m pytest tests/test_python_api.py
"""

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import harness
import unilaw
from harness.store.schema import arrow_schema
from harness.store.store import Store
from harness.sweeps.sweep import load_sweep
from reports.evidence import read_evidence
from reports.law import fit_slopes
from reports.law_table import COLUMNS
from tests import ROOT
from tests.conftest import UNILAW
from tests.store.rows import FAILED, NOON, row
from tests.store.small_sweep import SWEEP

DICT: dict[str, Any] = {
    "name": "small",
    "seeds": [0, 1],
    "tasks": [
        {
            "task": "sphere",
            "fixed": {"n": 32, "d": 4, "max_epochs": 20},
            "grid": {"width": [4, 8, 12]},
        }
    ],
}
"""SWEEP as a dict."""

EXAMPLE = ROOT / "reports" / "examples" / "gpt-law-noise"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "rows")


@pytest.mark.slow
def test_the_module_and_the_script_are_one_command(tmp_path: Path):
    for command in ([sys.executable, "-m", "unilaw"], [UNILAW]):
        done = subprocess.run([*command, "--version"], cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == f"unilaw {harness.__version__}\n", done.stderr


@pytest.mark.slow
def test_its_examples():
    assert doctest.testmod(unilaw).failed == 0


def test_a_sweep_may_be_a_path_a_dict_or_a_sweep(tmp_path: Path):
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    loaded = load_sweep(str(path))
    ids = [trial.trial_id for trial in loaded.trials]
    for form in (path, str(path), DICT, loaded):
        assert [trial.trial_id for trial in unilaw._sweep(form, None, print).trials] == ids
    plan = unilaw.plan(DICT)
    assert (plan.trials, [cell.p for cell in plan.cells]) == (6, [25, 49, 73])


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"name": "Not a Name"}, "sweep:1: 'name'"),
        ({"taks": []}, "did you mean 'tasks'?"),
        ({"seeds": [object()]}, "the sweep holds a object"),
    ],
)
def test_a_wrong_dict_is_one_sentence(change: dict[str, Any], sentence: str):
    with pytest.raises(unilaw.UserError, match=r"^[^\n]+$") as refused:
        unilaw.plan({**DICT, **change})
    assert sentence in str(refused.value)


@pytest.mark.parametrize("function", [unilaw.rows, unilaw.report, unilaw.law_fits])
def test_no_store_is_the_commands_sentence(function, tmp_path: Path):
    with pytest.raises(unilaw.UserError, match="there is no store '.*'; it must be a folder"):
        function(tmp_path / "nothing")


def test_rows_are_the_newest_of_each_trial_with_kind_and_configuration(store: Store):
    store.append([
        row("a", p=1, config_json=json.dumps({"width": 8, "n": 5, "source": "x"}), n=4),
        row("b", config_json=json.dumps({"depth": 2}), **FAILED),
    ])  # fmt: skip
    again = {"measurement": 1, "measured_at": NOON}
    store.append([row("a", p=2, config_json=json.dumps({"width": 8}), **again)], again=True)

    found = unilaw.rows(store.where).set_index("trial_id")
    assert found.index.tolist() == ["a", "b"]
    assert found["p"].tolist()[0] == 2 and found["width"].dtype == "Int64"
    assert found["width"].tolist() == [8, pd.NA] and found["depth"].tolist() == [pd.NA, 2]
    assert found["kind"].tolist() == ["toy, ±1 target, no injected noise", None]
    assert set(arrow_schema().names) <= {*found.columns, "trial_id"}


def test_a_field_with_a_columns_name_is_told_from_it(store: Store):
    store.append([row("a", n=4, config_json=json.dumps({"n": 5, "kind": "mine"}))])
    (found,) = unilaw.rows(store.where).to_dict("records")
    assert (found["n"], found["config_n"], found["config_kind"]) == (4, 5, "mine")
    assert found["kind"] == "toy, ±1 target, no injected noise"


def test_a_file_that_cannot_be_read_is_warned_of(store: Store):
    store.append([row("a")])
    (Path(store.where) / "part-torn.parquet").write_bytes(b"PAR1")
    with pytest.warns(UserWarning, match="part-torn.parquet: is torn"):
        assert len(unilaw.rows(store.where)) == 1


@pytest.mark.slow
def test_law_fits_are_the_reports(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reports.law.fit_forms", lambda rows, column: None)  # slow, and not shown
    monkeypatch.setattr("reports.law.FILTERS", (1,))
    rows = unilaw.rows(EXAMPLE)
    fits = unilaw.law_fits(rows)
    slopes = fit_slopes(read_evidence(EXAMPLE).trials)
    stated = {(kind, column): s for (factor, kind, column), s in slopes.items() if factor == 1}
    assert len(fits) == len(stated) > 0
    for found in fits.to_dict("records"):
        slope = stated[found["kind"], found["measure"]]
        assert found["rows"] == len(slope.trials)
        numbers = [found["slope"], found["low"], found["high"]]
        assert numbers == pytest.approx([slope.slope, slope.low, slope.high], nan_ok=True)

    assert fits["verdict"].str.startswith(("compatible", "cannot tell", "no fit")).any()
    some = unilaw.law_fits(rows[rows["seed"] == rows["seed"].min()])
    assert 0 < some["rows"].max() < fits["rows"].max()


def test_rows_md_explains_every_column_of_law_fits():
    text = (ROOT / "docs" / "rows.md").read_text()
    listed = text.partition("| column | meaning |")[2].partition("\n\n")[0].splitlines()
    first_cells = [line.split("|")[1] for line in listed if line.startswith("| `")]
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == {*COLUMNS}


def test_law_fits_say_what_is_wrong_with_their_input():
    empty = pa.Table.from_pylist([], schema=arrow_schema()).to_pandas()
    with pytest.raises(unilaw.UserError, match="the rows lack the column 'trial_id'; pass what"):
        unilaw.law_fits(empty.drop(columns="trial_id"))
    with pytest.raises(unilaw.UserError, match="from_onset is 3; allowed are 1, 2, 4, 8"):
        unilaw.law_fits(empty, from_onset=3)
