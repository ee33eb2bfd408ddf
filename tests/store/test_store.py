"""The store: rows and records survive a round trip, plain pandas reads the folder, and a folder
that is no store is refused.

Run alone: python -m pytest tests/store/test_store.py
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import UserError
from harness.store import marker as marker_module
from harness.store import store as store_module
from harness.store.latest import latest
from harness.store.schema import COLUMNS, SCHEMA_VERSION
from harness.store.store import Store
from tests.store.rows import appended, full_row, names, ran, record, row

# Rows


def test_round_trip_of_every_column(store: Store):
    store.append([full_row()])
    contents = store.read()
    assert contents.problems == []
    (back,) = contents.rows.to_dict("records")
    for name, value in full_row().items():
        read = back[name]
        if isinstance(value, list) and isinstance(value[0], float):
            assert read[0] == 0.5
            assert math.isnan(read[1])
        elif isinstance(value, list):
            assert list(read) == value, name
        else:
            assert read == value, name


def test_pandas_reads_the_folder_whatever_the_first_file_lacks(store: Store):
    files = [
        # null in nearly every optional column
        appended(store, [row("a", status="failed", failure_kind="crash")]),
        appended(store, [full_row("b"), row("c", flops=5.0)]),
        appended(store, [row("d", noise_radii=[], params_by_group=[])]),
    ]
    for rank, path in enumerate(files):  # pandas takes the schema of the first file
        os.replace(path, path.with_name(f"part-{rank}.parquet"))
    store.put_sweep(record("s", ["a"], "import this"))
    store.put_weights("b", b"weights")
    (Path(store.where) / "_report.html").write_text("<html>")

    rows = pd.read_parquet(Path(store.where))
    assert rows.columns.tolist() == [c.name for c in COLUMNS]
    assert rows["trial_id"].tolist() == ["a", "b", "c", "d"]
    assert rows["flops"].isna().tolist() == [True, False, False, True]
    assert rows["noise_radii"][1][0] == 0.5
    assert list(rows["noise_radii"][3]) == []
    pd.testing.assert_frame_equal(rows, store.read().rows)


def test_an_empty_store_has_every_column(store: Store):
    assert store.read().rows.columns.tolist() == [c.name for c in COLUMNS]
    assert len(latest(store.read().rows)) == 0


@pytest.mark.parametrize(
    "wrong", [{"stability_attack_maen": 0.1}, {"p": "many"}, {"seed": None}, {"p": 2**63}]
)
def test_a_row_outside_the_schema_is_refused_and_leaves_nothing(
    store: Store, wrong: dict[str, Any]
):
    before = names(Path(store.where))
    with pytest.raises((ValueError, OverflowError, pa.ArrowException)):
        store.append([row(**wrong)])
    assert names(Path(store.where)) == before


def test_an_older_file_without_a_newer_column_still_reads(store: Store):
    path = appended(store, [row(p=3, flops=1.0)])
    pq.write_table(pq.read_table(path).drop_columns(["flops", "noise_radii"]), path)
    contents = store.read()
    assert contents.problems == []
    assert contents.rows["p"].tolist() == [3]
    assert contents.rows["flops"].isna().all()


# Which folders are stores


def test_a_store_can_be_made_deep_and_twice(tmp_path: Path):
    first = Store.create(tmp_path / "a" / "b")
    first.append([row()])
    assert len(Store.create(tmp_path / "a" / "b").read().rows) == 1
    assert names(Path(first.where))[0] == "_store.json"
    assert all(n.startswith(("_store", "part-")) for n in names(Path(first.where)))


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not empty and not a unilaw store"):
        Store.create(tmp_path)
    with pytest.raises(UserError, match="is not a unilaw store"):
        Store.open(tmp_path)
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("make", [Store.create, Store.open])
def test_a_newer_store_is_refused(store: Store, make):
    newer = SCHEMA_VERSION + 1
    marker = json.dumps({"unilaw_store": 1, "schema_version": newer})
    (Path(store.where) / "_store.json").write_text(marker)
    message = f"schema version {newer}; this unilaw reads up to {SCHEMA_VERSION}: update unilaw"
    with pytest.raises(UserError, match=message):
        make(Path(store.where))


def test_a_newer_unilaw_marks_the_store_that_it_writes_to(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as newer:
        for module in (marker_module, store_module):
            newer.setattr(module, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        Store.create(Path(store.where))
    with pytest.raises(UserError, match="update unilaw"):
        Store.open(Path(store.where))


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"schema_version": "new"}', "\x00"])
def test_a_damaged_marker_is_named(store: Store, content: str):
    (Path(store.where) / "_store.json").write_text(content)
    with pytest.raises(UserError, match="_store.json: cannot be read as a store's marker"):
        Store.open(Path(store.where))


def test_no_store(tmp_path: Path):
    with pytest.raises(UserError, match="there is no store"):
        Store.open(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


# Records of sweeps and runs


def test_sweep_records_come_back_once_each_and_in_order(store: Store):
    records = [record("b", ["1"]), record("a", ["2", "1"], "source")]
    for seconds, sweep in enumerate(records):
        store.put_sweep(sweep)
        os.utime(Path(store.where) / f"{sweep.stem}.json", (seconds, seconds))
    store.put_sweep(records[0])
    assert store.sweeps() == records
    assert (Path(store.where) / f"{records[1].stem}.yaml").read_text() == "name: a\n"
    assert (Path(store.where) / f"{records[1].stem}.py").read_text() == "source"


HOSTILE = '{"name": "../../a", "text": "", "task_source": null, "trials": {}}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"name": "a"}',
        HOSTILE,
        HOSTILE.replace("../../a", "a").replace("{}", '{"../t": "toy"}'),
    ],
)
def test_a_damaged_sweep_record_is_named_and_left_out(store: Store, content: str):
    store.put_sweep(record("good", ["1"]))
    (Path(store.where) / "_sweeps" / "a-0.json").write_text(content)
    assert store.sweeps() == [record("good", ["1"])]
    (problem,) = store.read().problems
    assert problem.startswith("_sweeps/a-0.json: cannot be read as a sweep's record")


def test_runs_come_back_oldest_first_and_damaged_ones_are_left_out(store: Store):
    for minute in (5, 1, 3):
        store.put_run(ran(minute))
    store.put_run(ran(2, "other"))
    (Path(store.where) / "_runs" / "torn.json").write_text('{"sweep": "s", "be')
    (Path(store.where) / "_runs" / "path.json").write_text(
        ran(4).model_dump_json().replace('"s"', '"../s"')
    )
    assert store.runs() == [ran(1), ran(2, "other"), ran(3), ran(5)]
    assert store.read().problems == []


# Checkpoints


def test_a_checkpoints_path_takes_the_id_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    pattern = Store.create(Path("odd {0} {name} %s")).checkpoints()
    path = Path(pattern.format("abc"))
    assert path == tmp_path / "odd {0} {name} %s" / "_checkpoints" / "abc.safetensors"
    assert path.parent.is_dir()


def test_checkpoints_of_trials_with_a_row_go(store: Store):
    for name in ("a", "b"):
        Path(store.checkpoints().format(name)).write_bytes(b"half way")
    store.drop_checkpoints(["a", "c"])
    assert names(Path(store.where) / "_checkpoints") == ["b.safetensors"]
    assert store.read().problems == []
