"""The recipes of docs/rows.md find what they say they find, on a store with a report, an index, a
torn file and a trial that was measured again.

Run alone: python -m pytest tests/test_row_recipes.py
"""

import json
from pathlib import Path
from typing import Any

import duckdb
import polars
import pytest

from harness.store.store import Store
from tests import ROOT
from tests.store.rows import FAILED, NOON, row
from tests.test_readme import block

PAGE = (ROOT / "docs" / "rows.md").read_text()


def trial(name: str, width: int, accuracy: float, **columns: Any) -> dict[str, Any]:
    config = json.dumps({"width": width})
    return row(name, p=width, config_json=config, test_accuracy=accuracy, **columns)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a store runs/first: of width 8 a trial that was measured again and one that was
    not, of width 16 one that failed first."""
    store = Store.create(tmp_path / "runs" / "first")
    store.append([trial("a", 8, 0.5), trial("b", 8, 0.7)])
    store.append([row("c", config_json='{"width": 16}', **FAILED), trial("c", 16, 0.9, attempt=2)])
    again = {"measurement": 1, "measured_at": NOON, "finished_at": NOON.replace(year=2020)}
    store.append([trial("a", 8, 0.4, **again)], again=True)
    store.index()
    store.put_report(b"<html>")
    (Path(store.where) / "part-torn.parquet").write_bytes(b"PAR1")
    assert Store.create(store.where).set_torn_aside()
    monkeypatch.chdir(tmp_path)
    return Path(store.where)


def results(recipe: str) -> dict[str, Any]:
    """Run a recipe of the page and return what it leaves."""
    left: dict[str, Any] = {}
    exec(block(PAGE, recipe), left)
    return left


SMALL, LARGE = ("toy", '{"width": 8}'), ("toy", '{"width": 16}')

NEWEST = {SMALL: pytest.approx(0.55), LARGE: pytest.approx(0.9)}
"""Mean accuracy by task and configuration: of width 8, 0.4 measured again and 0.7. The trials' own
mean is 0.6, and that of all three rows 0.533."""


def test_pandas_reads_the_folder_as_the_trials_measured_themselves(folder: Path):
    left = results("pandas")
    assert left["means"].to_dict() == {SMALL: pytest.approx(0.6), LARGE: pytest.approx(0.9)}
    assert sorted(left["attempts"]["trial_id"]) == ["a", "b", "c", "c"]


def test_rows_are_the_newest(folder: Path):
    assert results("newest")["means"].to_dict() == NEWEST


def test_duckdb(folder: Path):
    left = results("duckdb-frame")
    assert {(task, config): mean for task, config, mean in left["means"]} == NEWEST
    left = results("duckdb-files")
    assert {(task, config): mean for task, config, mean in left["means"]} == NEWEST
    assert left["latest"].shape[0] == 3

    everywhere = duckdb.sql("select trial_id from 'runs/first/**/*.parquet' order by all")
    assert everywhere is not None
    assert [trial for (trial,) in everywhere.fetchall()] == ["a", "b", "c", "c"]


def test_the_recipes_also_read_a_store_in_which_nothing_was_measured_again(folder: Path):
    (again,) = folder.glob("_measured-*.rows")
    again.unlink()
    assert len(results("duckdb-files")["means"]) == 2
    assert len(results("polars")["latest"]) == 3


def test_polars(folder: Path):
    left = results("polars")
    means = {(task, config): mean for task, config, mean in left["means"].iter_rows()}
    assert means == NEWEST and len(left["latest"]) == 3
    assert len(polars.read_parquet("runs/first/**/*.parquet")) == 4
    with pytest.raises(polars.exceptions.PolarsError):
        polars.read_parquet("runs/first")
