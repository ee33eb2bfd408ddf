"""The store: rows survive a round trip, plain pandas reads the folder, and it says which folder
is none."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.store import marker as marker_module
from harness.store import store as store_module
from harness.store.latest import latest
from harness.store.schema import COLUMNS, SCHEMA_VERSION, arrow_schema, measured_columns
from harness.store.store import Store
from tests.store.rows import FAILED, NOON, appended, full_row, names, ran, record, row

# The schema


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: c.name)
def test_every_column_says_what_it_means(column):
    field = arrow_schema().field(column.name)
    metadata = field.metadata or {}
    assert (field.type, field.nullable) == (column.type, not column.required)
    assert metadata[b"unit"].decode() == column.unit
    assert metadata[b"meaning"].decode() == column.meaning
    assert column.meaning or column.name in ("python_version", "torch_version")


def test_column_names_are_distinct():
    assert len({c.name for c in COLUMNS}) == len(COLUMNS)


def test_measured_columns_stand_together_from_test_loss_to_pictures():
    names = [column.name for column in COLUMNS]
    first = names.index("test_loss")
    last = names.index("pictures")
    assert measured_columns() == names[first : last + 1]


def test_a_files_own_schema_carries_units_and_version(store: Store):
    schema = pq.read_schema(appended(store, [row()]))
    assert schema.field("p").metadata[b"unit"] == b"parameters"
    assert schema.metadata[b"unilaw_schema_version"] == str(SCHEMA_VERSION).encode()
    assert schema.remove_metadata() == arrow_schema().remove_metadata()


# Rows


def test_round_trip_of_every_column(store: Store):
    store.append([full_row()])
    contents = store.read()
    assert contents.problems == []
    (back,) = contents.rows.to_dict("records")
    for name, value in full_row().items():
        got = back[name]
        if isinstance(value, list) and isinstance(value[0], float):
            assert got[0] == 0.5 and got[1] != got[1]
        else:
            assert (list(got) if isinstance(value, list) else got) == value, name


def test_pandas_reads_the_folder_whatever_the_first_file_lacks(store: Store):
    files = [
        # nulls in every optional column
        appended(store, [row("a", status="failed", failure_kind="crash")]),
        appended(store, [full_row("b"), row("c", p=5)]),
        appended(store, [row("d", noise_radii=[], params_by_group=[])]),
    ]
    for rank, path in enumerate(files):  # file order decides which schema pandas takes
        os.replace(path, path.with_name(f"part-{rank}.parquet"))
    store.put_sweep(record("s", ["a"], "import this"))
    store.put_weights("b", b"weights")
    (Path(str(store)) / "_report.html").write_text("<html>")
    rows = pd.read_parquet(Path(str(store)))
    assert rows.columns.tolist() == [c.name for c in COLUMNS]
    assert rows["trial_id"].tolist() == ["a", "b", "c", "d"]
    assert rows["p"].isna().tolist() == [True, False, False, True]
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
    before = names(Path(str(store)))
    with pytest.raises((ValueError, OverflowError, pa.ArrowException)):
        store.append([row(**wrong)])
    assert names(Path(str(store))) == before


def test_an_older_file_without_a_newer_column_still_reads(store: Store):
    path = appended(store, [row(p=3, flops=1.0)])
    pq.write_table(pq.read_table(path).drop_columns(["flops", "noise_radii"]), path)
    contents = store.read()
    assert contents.problems == []
    assert contents.rows["p"].tolist() == [3]
    assert contents.rows["flops"].isna().all()


# What is a store


def test_a_store_can_be_made_deep_and_twice(tmp_path: Path):
    first = Store.create(tmp_path / "a" / "b")
    first.append([row()])
    assert len(Store.create(tmp_path / "a" / "b").read().rows) == 1
    assert names(Path(str(first)))[0] == "_store.json"
    assert all(n.startswith(("_store", "part-")) for n in names(Path(str(first))))


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not empty and not a unilaw store"):
        Store.create(tmp_path)
    with pytest.raises(UserError, match="is not a unilaw store"):
        Store.open(tmp_path)
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("make", [Store.create, Store.open])
def test_a_newer_store_is_refused(store: Store, make):
    (Path(str(store)) / "_store.json").write_text(
        json.dumps({"unilaw_store": 1, "schema_version": SCHEMA_VERSION + 1})
    )
    with pytest.raises(
        UserError,
        match=(
            f"schema version {SCHEMA_VERSION + 1}; this unilaw reads up to {SCHEMA_VERSION}: update"
            " unilaw"
        ),
    ):
        make(Path(str(store)))


def test_a_newer_unilaw_marks_the_store_that_it_writes_to(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as newer:
        for module in (marker_module, store_module):
            newer.setattr(module, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        Store.create(Path(str(store)))
    with pytest.raises(UserError, match="update unilaw"):
        Store.open(Path(str(store)))


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"schema_version": "new"}', "\x00"])
def test_a_damaged_marker_is_named(store: Store, content: str):
    (Path(str(store)) / "_store.json").write_text(content)
    with pytest.raises(UserError, match="_store.json: cannot be read as a store's marker"):
        Store.open(Path(str(store)))


def test_no_store(tmp_path: Path):
    with pytest.raises(UserError, match="there is no store"):
        Store.open(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


# Sweeps


def test_sweep_records_come_back_once_each_and_in_order(store: Store):
    records = [record("b", ["1"]), record("a", ["2", "1"], "source")]
    for age, made in enumerate(records):
        store.put_sweep(made)
        os.utime(Path(str(store)) / f"{made.stem}.json", (age, age))
    store.put_sweep(records[0])
    assert store.sweeps() == records
    assert (Path(str(store)) / f"{records[1].stem}.yaml").read_text() == "name: a\n"
    assert (Path(str(store)) / f"{records[1].stem}.py").read_text() == "source"


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
    (Path(str(store)) / "_sweeps" / "a-0.json").write_text(content)
    assert store.sweeps() == [record("good", ["1"])]
    (problem,) = store.read().problems
    assert problem.startswith("_sweeps/a-0.json: cannot be read as a sweep's record")


# The latest view


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pa.Table.from_pylist(list(rows), schema=arrow_schema()).to_pandas()


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


VIEWS = {
    "ok wins over a later failure": (
        [row(p=1, finished_at=at(1)), row(p=2, finished_at=at(2), **FAILED)],
        1,
    ),
    "ok wins over a later failure of newer measures": (
        [row(p=1), row(p=2, finished_at=at(2), measures_version=9, **FAILED)],
        1,
    ),
    "the newest ok wins": ([row(p=1, finished_at=at(1)), row(p=2, finished_at=at(2))], 2),
    "the newest ok wins in any order of files": (
        [row(p=2, finished_at=at(2)), row(p=1, finished_at=at(1))],
        2,
    ),
    "newer measures win over a later row": (
        [row(p=1, measures_version=2), row(p=2, finished_at=at(9))],
        1,
    ),
    "the newest failure stands when none is ok": (
        [row(p=1, **FAILED), row(p=2, attempt=2, finished_at=at(1), **FAILED)],
        2,
    ),
    "the later attempt stands when times are equal": (
        [row(p=2, attempt=2, **FAILED), row(p=1, **FAILED)],
        2,
    ),
}


@pytest.mark.parametrize("rows,expected", VIEWS.values(), ids=VIEWS.keys())
def test_latest(rows: list[dict[str, Any]], expected: int):
    view = latest(frame(*rows))
    assert view["p"].tolist() == [expected]
    assert view.columns.tolist() == [c.name for c in COLUMNS]


attempts = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(1, 3), st.integers(0, 5)),
    min_size=1,
    max_size=12,
)  # trial, ok, measures_version, minute


@settings(derandomize=True, max_examples=60, deadline=None)
@given(attempts)
def test_latest_over_any_history(history: list[tuple[str, bool, int, int]]):
    rows = [
        row(
            trial,
            attempt=k,
            measures_version=version,
            finished_at=at(minute),
            **({} if ok else FAILED),
        )
        for k, (trial, ok, version, minute) in enumerate(history, start=1)
    ]
    view = latest(frame(*rows))
    assert sorted(view["trial_id"]) == sorted({trial for trial, *_ in history}), "one row per trial"
    for chosen in view.to_dict("records"):
        mine = [
            (ok, version, minute)
            for trial, ok, version, minute in history
            if trial == chosen["trial_id"]
        ]
        ok = chosen["status"] == "ok"
        assert ok == any(o for o, *_ in mine)
        assert chosen["measures_version"] == max(v for o, v, _ in mine if o == ok)
        assert chosen["finished_at"] == at(
            max(m for o, v, m in mine if (o, v) == (ok, chosen["measures_version"]))
        )
    pd.testing.assert_frame_equal(latest(view), view)
    pd.testing.assert_frame_equal(latest(frame(*reversed(rows))), view)


# Runs and checkpoints


def test_runs_come_back_oldest_first_and_damaged_ones_are_left_out(store: Store):
    for minute in (5, 1, 3):
        store.put_run(ran(minute))
    store.put_run(ran(2, "other"))
    (Path(str(store)) / "_runs" / "torn.json").write_text('{"sweep": "s", "be')
    (Path(str(store)) / "_runs" / "path.json").write_text(
        ran(4).model_dump_json().replace('"s"', '"../s"')
    )
    assert store.runs() == [ran(1), ran(2, "other"), ran(3), ran(5)]
    assert store.read().problems == []


def test_a_checkpoints_path_takes_the_id_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    pattern = Store.create(Path("odd {0} {name} %s")).checkpoints()
    path = Path(pattern.format("abc"))
    assert (
        path == tmp_path / "odd {0} {name} %s" / "_checkpoints" / "abc.safetensors"
        and path.parent.is_dir()
    )


def test_checkpoints_of_trials_with_a_row_go(store: Store):
    for name in ("a", "b"):
        Path(store.checkpoints().format(name)).write_bytes(b"half way")
    store.drop_checkpoints(["a", "c"])
    assert names(Path(str(store)) / "_checkpoints") == ["b.safetensors"]
    assert store.read().problems == []
