"""The store: rows survive a round trip, plain pandas reads the folder, and no accident makes a torn or lost row."""

import errno
import json
import os
import resource
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import folder as folder_module
from harness import store as store_module
from harness.errors import UserError
from harness.folder import Folder, read_kept
from harness.schema import COLUMNS, CORRUPTIONS, CURVE, GROUPS, PICTURES, SCHEMA_VERSION, TOKEN_CHANGES, arrow_schema
from harness.store import IDENTITY, RunRecord, Store, SweepRecord, compact, latest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def row(trial_id: str = "t0", **columns: Any) -> dict[str, Any]:
    """The columns that every row has, and those given."""
    required = {
        "trial_id": trial_id, "attempt": 1, "status": "ok", "sweep": "s", "task": "toy", "task_version": 1, "family": "toy", "seed": 0,
        "config_json": "{}", "settings_json": "{}", "unilaw_version": "0", "finished_at": NOON, "measures_version": 1, "schema_version": 1,
    }  # fmt: skip
    return {**required, **columns}


EXAMPLES = {
    pa.string(): "text ± ü", pa.bool_(): True, pa.int32(): 2**31 - 1, pa.int64(): 2**63 - 1, pa.float64(): 0.1,
    pa.timestamp("us", tz="UTC"): NOON, pa.list_(pa.float64()): [0.5, float("nan")],
    pa.list_(pa.string()): ["a warning"], GROUPS: [{"group": "0", "trainable": 3, "frozen": 4}],
    CORRUPTIONS: [{"kind": "blur", "severity": 1, "size": 1.0, "accuracy": 0.5, "accuracy_se": 0.1, "flip_rate": 0.0}],
    CURVE: [{"step": 10, "tokens": 640, "loss": 3.5}],
    TOKEN_CHANGES: [
        {"kind": "typo", "distance": 2, "accuracy": 0.5, "accuracy_se": 0.1, "kl": 0.2, "kl_se": 0.1, "flip_rate": 0.3}
    ],
    PICTURES: [{"label": "3", "before": "3", "after": "5", "distance": 0.1}],
}  # fmt: skip


def full_row(trial_id: str = "full") -> dict[str, Any]:
    """A value in every column."""
    values = {c.name: EXAMPLES[c.type] for c in COLUMNS}
    return {**values, "trial_id": trial_id, "attempt": 1}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "rows")


def record(name: str, trials: list[str], task_source: str | None = None) -> SweepRecord:
    """A sweep's record; trial ids are padded to their length."""
    asked = {trial.ljust(16, "0"): "toy" for trial in trials}
    return SweepRecord(name=name, text=f"name: {name}\n", task_source=task_source, trials=asked)


def appended(store: Store, rows: list[dict[str, Any]]) -> Path:
    """Append them; gives their file."""
    return Path(str(store)) / store.append(rows)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


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
        appended(store, [row("a", status="failed", failure_kind="crash")]),  # nulls in every optional column
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


@pytest.mark.parametrize("wrong", [{"stability_attack_maen": 0.1}, {"p": "many"}, {"seed": None}, {"p": 2**63}])
def test_a_row_outside_the_schema_is_refused_and_leaves_nothing(store: Store, wrong: dict[str, Any]):
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


# Accidents


class Crash(BaseException):
    """Ends whatever is running, as a kill would, without being caught as an error."""


def test_nothing_is_visible_before_the_rename(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.append([row("a")])
    during: list[list[str]] = []

    def crash(source: Path, target: Path) -> None:
        during.append(names(Path(str(store))))
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(folder_module.os, "replace", crash)
        with pytest.raises(Crash):
            store.append([row("b")])
    parts = [n for n in names(Path(str(store))) if n.startswith("part-")]
    assert [n for n in during[0] if n not in ("_store.json", *parts)] == [n for n in during[0] if n.startswith("_tmp-")] != []
    assert len(parts) == 1
    assert pd.read_parquet(Path(str(store)))["trial_id"].tolist() == ["a"] == store.read().rows["trial_id"].tolist()


def test_a_temporary_file_left_by_a_killed_writer_is_no_row(store: Store):
    whole = appended(store, [row("a")]).read_bytes()
    (Path(str(store)) / "_tmp-0").write_bytes(whole[: len(whole) // 2])
    assert store.read().problems == []
    assert pd.read_parquet(Path(str(store)))["trial_id"].tolist() == ["a"]


@pytest.mark.parametrize("kept", [0, 3, 4, 100, 0.5, 0.99, -1], ids=str)
def test_a_torn_file_is_named_left_out_and_set_aside(store: Store, kept: float):
    store.append([row("good")])
    torn = appended(store, [full_row("torn")])
    whole = torn.read_bytes()
    torn.write_bytes(whole[: int(kept * len(whole))] if isinstance(kept, float) else whole[:kept])
    contents = store.read()
    assert contents.rows["trial_id"].tolist() == ["good"]
    assert len(contents.problems) == 1 and contents.problems[0].startswith(f"{torn.name}: is torn or not Parquet")
    (said,) = store.set_torn_aside()
    assert said.startswith(f"{torn.name}: is torn") and "_set_aside" in said
    assert store.read().problems == [] and store.set_torn_aside() == []
    assert pd.read_parquet(Path(str(store)))["trial_id"].tolist() == ["good"]
    assert (Path(str(store)) / "_set_aside" / torn.name).exists(), "moved, not deleted"


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
def test_flipped_bytes_never_raise(tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]):
    store = Store.create(tmp_path_factory.mktemp("rows"))
    path = appended(store, [full_row()])
    content = bytearray(path.read_bytes())
    for position, byte in damage:
        content[position % len(content)] ^= byte
    path.write_bytes(content)
    contents = store.read()
    assert len(contents.rows) + len(contents.problems) >= 1


def test_files_of_somebody_else_are_named_and_left_alone(store: Store):
    store.append([row("a")])
    (Path(str(store)) / "notes.txt").write_text("mine")
    (Path(str(store)) / "old").mkdir()
    pd.DataFrame({"x": [1]}).to_parquet(Path(str(store)) / "old" / "part-0.parquet")
    (Path(str(store)) / "_notes").write_text("hidden names are free")
    contents = store.read()
    assert contents.rows["trial_id"].tolist() == ["a"]
    assert [p.split(":")[0] for p in contents.problems] == ["notes.txt", "old"]
    assert store.set_torn_aside() == []
    assert (Path(str(store)) / "notes.txt").read_text() == "mine"


FOREIGN = {
    "other columns": (pa.table({"x": [1]}), "it lacks the column 'trial_id'"),
    "another type": (pa.Table.from_pylist([row()]).append_column("p", pa.array(["many"])), "has a column of another type"),
    "a column twice": (pa.Table.from_pylist([row()]).append_column("trial_id", pa.array(["t"])), "has a column of another type"),
}


@pytest.mark.parametrize("table,reason", FOREIGN.values(), ids=FOREIGN.keys())
def test_parquet_that_is_not_rows_is_named_and_set_aside(store: Store, table: pa.Table, reason: str):
    pq.write_table(table, Path(str(store)) / "part-x.parquet")
    (problem,) = store.read().problems
    assert problem.startswith("part-x.parquet: ") and reason in problem
    assert len(store.set_torn_aside()) == 1


def test_readers_and_writers_at_once(store: Store):
    def write(writer: int) -> None:
        for k in range(15):
            store.append([row(f"{writer}-{k}"), row(f"{writer}-{k}+")])

    writers = [threading.Thread(target=write, args=(w,)) for w in range(3)]
    for thread in writers:
        thread.start()
    while any(thread.is_alive() for thread in writers):
        contents = store.read()
        assert contents.problems == [] and len(contents.rows) % 2 == 0, "a file's rows come together"
    assert store.read().rows["trial_id"].nunique() == 3 * 15 * 2


def test_a_full_disk_is_said_in_one_sentence_and_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.append([row("a")])
    before, write = names(Path(str(store))), Path.write_bytes

    def half(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    for put in (lambda: store.append([row("b")]), lambda: store.put_weights("a", b"weights"), lambda: store.put_run(ran(1))):
        with pytest.raises(UserError, match=r"^the store '.*' cannot be written: No space left on device; .*free some space and run"):
            put()
    assert [n for n in names(Path(str(store))) if n not in ("_weights", "_runs")] == before
    assert [p for p in Path(str(store)).rglob("*") if p.is_file() and p.name.startswith("_tmp-")] == []
    assert store.read().rows["trial_id"].tolist() == ["a"]


def test_a_write_that_the_system_cuts_off_leaves_nothing(store: Store):
    store.append([row("a")])
    before, limits = names(Path(str(store))), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(UserError, match="cannot be written: File too large"):
            store.append([row("b")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(Path(str(store))) == before


def test_what_killed_writers_left_goes_when_it_is_old(store: Store):
    folder = Path(str(store))
    store.put_weights("a", b"weights")
    left = [folder / "_tmp-old", folder / "_weights" / "_tmp-old", folder / "_tmp-new", folder / "_weights" / "_tmp-new"]
    for path in left:
        path.write_bytes(b"half")
    for path in left[:2]:
        os.utime(path, (1, time.time() - 3700))
    Store.create(folder)
    assert [path.exists() for path in left] == [False, False, True, True]
    assert (folder / "_weights" / "a.safetensors").exists()


def test_links_that_lead_out_of_the_store_are_neither_read_nor_written(store: Store, tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "elsewhere").mkdir()
    folder = Path(str(store))
    store.put_weights("mine", b"weights")
    (folder / "_weights" / "theirs.safetensors").symlink_to(tmp_path / "secret")
    (folder / "part-1.parquet").symlink_to(tmp_path / "secret")
    (folder / "_pictures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="holds a link that leads out of it: '_pictures/a.png'"):
        store.put_pictures("a", b"picture")
    with pytest.raises(UserError, match="holds a link that leads out of it"):
        read_kept(store.weights(), "theirs")
    assert store.set_torn_aside() == [] and len(store.read().rows) == 0
    with pytest.raises(UserError, match="holds a link that leads out of it: '_pictures'"):
        compact(folder, tmp_path / "small")
    (folder / "_pictures").unlink()
    compact(folder, tmp_path / "small2")
    assert names(tmp_path / "small2" / "_weights") == ["mine.safetensors"] and names(tmp_path / "elsewhere") == []
    assert not (tmp_path / "small").exists()


# The index


INDEXED = list(IDENTITY)


def by_id(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[INDEXED].sort_values(["trial_id", "attempt"], ignore_index=True)


@pytest.fixture
def indexed(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Seven row files, six of them in two files of the index."""
    monkeypatch.setattr(store_module, "INDEXED_TOGETHER", 3)
    for k in range(7):
        store.append([row(f"{k}"), row(f"{k}+", status="failed", failure_kind="nan", attempt=k + 1)])
    assert len(names(Path(str(store)) / "_index")) == 2
    return Store.open(str(store))


def opened(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The row files that are opened from now on."""
    found, get = [], type(store.files).get

    def counted(self: Folder, name: str) -> bytes:
        found.extend([name] if name.startswith("part-") else [])
        return get(self, name)

    monkeypatch.setattr(type(store.files), "get", counted)
    return found


def test_what_became_of_trials_is_read_from_the_index(indexed: Store, monkeypatch: pytest.MonkeyPatch):
    whole = by_id(indexed.read().rows)
    seen = opened(indexed, monkeypatch)
    contents = indexed.read(IDENTITY)
    assert len(seen) == 1 and contents.problems == []
    assert contents.rows.columns.tolist() == INDEXED
    pd.testing.assert_frame_equal(by_id(contents.rows), whole)
    assert indexed.read(["trial_id", "p"]).rows.columns.tolist() == ["trial_id", "p"] and len(seen) == 8, "p is not in the index"


def test_the_index_follows_what_is_done_to_row_files(indexed: Store):
    folder = Path(str(indexed))
    gone, other, torn = sorted(folder.glob("part-*.parquet"))[:3]
    gone.unlink()
    pq.write_table(pa.Table.from_pylist([row("new")], schema=arrow_schema()), other)
    torn.write_bytes(torn.read_bytes()[:-9])
    contents = indexed.read(IDENTITY)
    assert [p.split(":")[0] for p in contents.problems] == [torn.name]
    pd.testing.assert_frame_equal(by_id(contents.rows), by_id(indexed.read().rows))
    assert len(indexed.set_torn_aside()) == 1


@pytest.mark.parametrize("of_ten", range(10))
def test_damage_that_keeps_a_files_size_is_set_aside_in_spite_of_the_index(indexed: Store, of_ten: int, monkeypatch: pytest.MonkeyPatch):
    """Wherever in the file: some of a footer's bytes can change and the file still reads."""
    monkeypatch.setattr(store_module, "INDEXED_TOGETHER", 1)
    indexed.set_torn_aside()  # puts the seventh file into the index
    path = sorted(Path(str(indexed)).glob("part-*.parquet"))[2]
    content = bytearray(path.read_bytes())
    content[len(content) * of_ten // 10] ^= 0x01
    path.write_bytes(content)
    (said,) = indexed.set_torn_aside()
    assert said.startswith(f"{path.name}: is torn")
    assert len(indexed.read(IDENTITY).rows) == len(indexed.read().rows) == 12


@pytest.mark.parametrize("content", [b"", b"PAR1", b"{}", "rows"], ids=["empty", "torn", "text", "rows"])
def test_a_damaged_index_costs_time_alone(indexed: Store, content: bytes | str):
    whole = by_id(indexed.read().rows)
    for path in (Path(str(indexed)) / "_index").iterdir():
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            pq.write_table(pa.Table.from_pylist([row("x")]), path)
    contents = indexed.read(IDENTITY)
    assert contents.problems == []
    pd.testing.assert_frame_equal(by_id(contents.rows), whole)


def test_row_files_of_before_the_index_get_into_it(indexed: Store, monkeypatch: pytest.MonkeyPatch):
    shutil.rmtree(Path(str(indexed)) / "_index")
    assert indexed.set_torn_aside() == []
    seen = opened(indexed, monkeypatch)
    assert len(indexed.read(IDENTITY).rows) == 14 and seen == []


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
    (Path(str(store)) / "_store.json").write_text(json.dumps({"unilaw_store": 1, "schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(UserError, match=f"schema version {SCHEMA_VERSION + 1}; this unilaw reads up to {SCHEMA_VERSION}: update unilaw"):
        make(Path(str(store)))


def test_a_newer_unilaw_marks_the_store_that_it_writes_to(store: Store, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as newer:
        newer.setattr(store_module, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
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
    "content", ["", "[]", "{}", '{"name": "a"}', HOSTILE, HOSTILE.replace("../../a", "a").replace("{}", '{"../t": "toy"}')]
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


FAILED = {"status": "failed", "failure_kind": "crash"}
VIEWS = {
    "ok wins over a later failure": ([row(p=1, finished_at=at(1)), row(p=2, finished_at=at(2), **FAILED)], 1),
    "ok wins over a later failure of newer measures": ([row(p=1), row(p=2, finished_at=at(2), measures_version=9, **FAILED)], 1),
    "the newest ok wins": ([row(p=1, finished_at=at(1)), row(p=2, finished_at=at(2))], 2),
    "the newest ok wins in any order of files": ([row(p=2, finished_at=at(2)), row(p=1, finished_at=at(1))], 2),
    "newer measures win over a later row": ([row(p=1, measures_version=2), row(p=2, finished_at=at(9))], 1),
    "the newest failure stands when none is ok": ([row(p=1, **FAILED), row(p=2, attempt=2, finished_at=at(1), **FAILED)], 2),
    "the later attempt stands when times are equal": ([row(p=2, attempt=2, **FAILED), row(p=1, **FAILED)], 2),
}


@pytest.mark.parametrize("rows,expected", VIEWS.values(), ids=VIEWS.keys())
def test_latest(rows: list[dict[str, Any]], expected: int):
    view = latest(frame(*rows))
    assert view["p"].tolist() == [expected]
    assert view.columns.tolist() == [c.name for c in COLUMNS]


attempts = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(1, 3), st.integers(0, 5)), min_size=1, max_size=12
)  # trial, ok, measures_version, minute


@settings(derandomize=True, max_examples=60, deadline=None)
@given(attempts)
def test_latest_over_any_history(history: list[tuple[str, bool, int, int]]):
    rows = [
        row(trial, attempt=k, measures_version=version, finished_at=at(minute), **({} if ok else FAILED))
        for k, (trial, ok, version, minute) in enumerate(history, start=1)
    ]
    view = latest(frame(*rows))
    assert sorted(view["trial_id"]) == sorted({trial for trial, *_ in history}), "one row per trial"
    for chosen in view.to_dict("records"):
        mine = [(ok, version, minute) for trial, ok, version, minute in history if trial == chosen["trial_id"]]
        ok = chosen["status"] == "ok"
        assert ok == any(o for o, *_ in mine)
        assert chosen["measures_version"] == max(v for o, v, _ in mine if o == ok)
        assert chosen["finished_at"] == at(max(m for o, v, m in mine if (o, v) == (ok, chosen["measures_version"])))
    pd.testing.assert_frame_equal(latest(view), view)
    pd.testing.assert_frame_equal(latest(frame(*reversed(rows))), view)


# Runs and checkpoints


def ran(minute: int, name: str = "s") -> RunRecord:
    began = NOON.replace(minute=minute)
    return RunRecord(sweep=name, began=began, inline=False, trials=3, forecast_s=12.5, seconds=13.25)


def test_runs_come_back_oldest_first_and_damaged_ones_are_left_out(store: Store):
    for minute in (5, 1, 3):
        store.put_run(ran(minute))
    store.put_run(ran(2, "other"))
    (Path(str(store)) / "_runs" / "torn.json").write_text('{"sweep": "s", "be')
    (Path(str(store)) / "_runs" / "path.json").write_text(ran(4).model_dump_json().replace('"s"', '"../s"'))
    assert store.runs() == [ran(1), ran(2, "other"), ran(3), ran(5)]
    assert store.read().problems == []


def test_a_checkpoints_path_takes_the_id_whatever_the_folder_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    pattern = Store.create(Path("odd {0} {name} %s")).checkpoints()
    path = Path(pattern.format("abc"))
    assert path == tmp_path / "odd {0} {name} %s" / "_checkpoints" / "abc.safetensors" and path.parent.is_dir()


def test_checkpoints_of_trials_with_a_row_go(store: Store):
    for name in ("a", "b"):
        Path(store.checkpoints().format(name)).write_bytes(b"half way")
    store.drop_checkpoints(["a", "c"])
    assert names(Path(str(store)) / "_checkpoints") == ["b.safetensors"]
    assert store.read().problems == []


# Compaction


def test_compact_keeps_every_attempt_weights_sweeps_and_runs(store: Store, tmp_path: Path):
    store.append([row("a", **FAILED)])
    store.append([row("a", attempt=2), full_row("b")])
    store.append([row("c", noise_radii=[])])
    store.put_weights("a", b"weights")
    store.put_pictures("a", b"picture")
    records = [record("s", ["a"]), record("u", ["b"], "source")]
    for made in records:
        store.put_sweep(made)
    store.put_run(ran(1))
    assert compact(Path(str(store)), tmp_path / "small") == (3, 4)
    small = Store.open(tmp_path / "small")
    assert len([n for n in names(Path(str(small))) if n.startswith("part-")]) == 1
    pd.testing.assert_frame_equal(small.read().rows, store.read().rows)
    pd.testing.assert_frame_equal(pd.read_parquet(Path(str(small))), store.read().rows)
    assert (Path(str(small)) / "_weights" / "a.safetensors").read_bytes() == b"weights"
    assert (Path(str(small)) / "_pictures" / "a.png").read_bytes() == b"picture"
    assert sorted(small.sweeps(), key=lambda r: r.name) == records
    assert small.runs() == [ran(1)]


def test_compact_of_an_empty_store(store: Store, tmp_path: Path):
    assert compact(Path(str(store)), tmp_path / "small") == (0, 0)
    assert len(Store.open(tmp_path / "small").read().rows) == 0


def test_compact_refuses_an_existing_target(store: Store, tmp_path: Path):
    store.append([row()])
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="exists; compact writes a new store"):
        compact(Path(str(store)), tmp_path / "there")
    assert names(tmp_path / "there") == []


def test_compact_refuses_a_torn_source(store: Store, tmp_path: Path):
    store.append([row()])
    (Path(str(store)) / "part-torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="part-torn.parquet: is torn"):
        compact(Path(str(store)), tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_compact_that_cannot_be_written_leaves_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store.append([row()])
    store.put_weights("a", b"weights")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "part-" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="No space left"):
        compact(str(store), tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_a_compaction_that_was_killed_is_no_store(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Killed at every write: what is there is either refused or holds everything."""
    store.append([row()])
    store.put_weights("a", b"weights")
    store.put_sweep(record("s", ["a"]))
    store.put_run(ran(1))
    replace, written = os.replace, 0

    for survived in range(10):
        target = tmp_path / f"small-{survived}"

        def killed(source: Path, to: Path, left: list[int] = [survived]) -> None:  # noqa: B006
            if not left[0]:
                raise Crash
            left[0] -= 1
            replace(source, to)

        with monkeypatch.context() as patch:
            patch.setattr(folder_module.os, "replace", killed)
            try:
                compact(str(store), target)
                break
            except Crash:
                written += 1
        try:
            half = Store.open(target)
        except UserError:
            continue
        if len(half.read().rows):
            assert half.sweeps() == store.sweeps() and half.runs() == store.runs() and read_kept(half.weights(), "a") == b"weights"
    assert written >= 6
