"""No accident tears or loses a row: kills, damage, full disks, links and other people's files.

Run alone: python -m pytest tests/store/test_accidents.py
"""

import errno
import os
import resource
import threading
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.store import disk
from harness.store.compact import compact
from harness.store.location import read_kept
from harness.store.store import Store
from tests.store.rows import Crash, appended, full_row, names, ran, row


def test_nothing_is_visible_before_the_rename(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.append([row("a")])
    during: list[list[str]] = []

    def crash(source: Path, target: Path) -> None:
        during.append(names(Path(store.where)))
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "replace", crash)
        with pytest.raises(Crash):
            store.append([row("b")])

    row_files = [name for name in names(Path(store.where)) if name.startswith("part-")]
    temporary = [name for name in during[0] if name.startswith("_tmp-")]
    assert len(row_files) == 1 and temporary
    assert sorted(during[0]) == sorted(["_store.json", *row_files, *temporary])
    assert pd.read_parquet(Path(store.where))["trial_id"].tolist() == ["a"]
    assert store.read().rows["trial_id"].tolist() == ["a"]


def test_a_temporary_file_left_by_a_killed_writer_is_no_row(store: Store):
    whole = appended(store, [row("a")]).read_bytes()
    (Path(store.where) / "_tmp-0").write_bytes(whole[: len(whole) // 2])
    assert store.read().problems == []
    assert pd.read_parquet(Path(store.where))["trial_id"].tolist() == ["a"]


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0, 3, 4, 100, 0.5, 0.99, -1], ids=str)
def test_a_torn_file_is_named_left_out_and_set_aside(store: Store, kept: float):
    store.append([row("good")])
    torn = appended(store, [full_row("torn")])
    whole = torn.read_bytes()
    kept_bytes = int(kept * len(whole)) if isinstance(kept, float) else kept
    torn.write_bytes(whole[:kept_bytes])

    contents = store.read()
    assert contents.rows["trial_id"].tolist() == ["good"]
    (problem,) = contents.problems
    assert problem.startswith(f"{torn.name}: is torn or not Parquet")

    (sentence,) = store.set_torn_aside()
    assert sentence.startswith(f"{torn.name}: is torn") and "_set_aside" in sentence
    assert store.read().problems == [] and store.set_torn_aside() == []
    assert pd.read_parquet(Path(store.where))["trial_id"].tolist() == ["good"]
    assert (Path(store.where) / "_set_aside" / f"{torn.name}.torn").exists(), "moved, not deleted"


@pytest.mark.slow
@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
def test_flipped_bytes_never_raise(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]
):
    store = Store.create(tmp_path_factory.mktemp("rows"))
    path = appended(store, [full_row()])
    content = bytearray(path.read_bytes())
    for position, byte in damage:
        content[position % len(content)] ^= byte
    path.write_bytes(content)
    contents = store.read()
    assert len(contents.rows) + len(contents.problems) >= 1


def test_files_of_other_people_are_named_and_left_alone(store: Store):
    store.append([row("a")])
    (Path(store.where) / "notes.txt").write_text("mine")
    (Path(store.where) / "old").mkdir()
    pd.DataFrame({"x": [1]}).to_parquet(Path(store.where) / "old" / "part-0.parquet")
    (Path(store.where) / "_notes").write_text("hidden names are free")

    contents = store.read()
    assert contents.rows["trial_id"].tolist() == ["a"]
    assert [p.split(":")[0] for p in contents.problems] == ["notes.txt", "old"]
    assert store.set_torn_aside() == []
    assert (Path(store.where) / "notes.txt").read_text() == "mine"


FOREIGN = {
    "other columns": (pa.table({"x": [1]}), "it lacks the column 'trial_id'"),
    "another type": (
        pa.Table.from_pylist([row()]).append_column("p", pa.array(["many"])),
        "has a column of another type",
    ),
    "a column twice": (
        pa.Table.from_pylist([row()]).append_column("trial_id", pa.array(["t"])),
        "has a column of another type",
    ),
}
"""Tables that are not rows, and the reason that is given."""


@pytest.mark.parametrize("table,reason", FOREIGN.values(), ids=FOREIGN.keys())
def test_parquet_that_is_not_rows_is_named_and_set_aside(
    store: Store, table: pa.Table, reason: str
):
    pq.write_table(table, Path(store.where) / "part-x.parquet")
    (problem,) = store.read().problems
    assert problem.startswith("part-x.parquet: ") and reason in problem
    assert len(store.set_torn_aside()) == 1


@pytest.mark.slow
def test_readers_and_writers_at_once(store: Store):
    def write(writer: int) -> None:
        for k in range(8):
            store.append([row(f"{writer}-{k}"), row(f"{writer}-{k}+")])

    writers = [threading.Thread(target=write, args=(w,)) for w in range(3)]
    for thread in writers:
        thread.start()
    while any(thread.is_alive() for thread in writers):
        contents = store.read()
        assert contents.problems == [] and len(contents.rows) % 2 == 0, (
            "a file's rows come together"
        )
    assert store.read().rows["trial_id"].nunique() == 3 * 8 * 2


def test_a_full_disk_is_named_in_one_sentence_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.append([row("a")])
    before = names(Path(store.where))
    write = Path.write_bytes

    def write_half(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    message = (
        r"^the store '.*' cannot be written: No space left on device; .*free some space and run"
    )
    for put in (
        lambda: store.append([row("b")]),
        lambda: store.put_weights("a", b"weights"),
        lambda: store.put_run(ran(1)),
    ):
        with pytest.raises(UserError, match=message):
            put()

    after = [name for name in names(Path(store.where)) if name not in ("_weights", "_runs")]
    assert after == before
    assert list(Path(store.where).rglob("_tmp-*")) == []
    assert store.read().rows["trial_id"].tolist() == ["a"]


def test_a_write_that_the_system_cuts_off_leaves_nothing(store: Store):
    store.append([row("a")])
    before = names(Path(store.where))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(UserError, match="cannot be written: File too large"):
            store.append([row("b")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(Path(store.where)) == before


def test_old_temporary_files_of_killed_writers_are_deleted(store: Store):
    folder = Path(store.where)
    store.put_weights("a", b"weights")
    old = [folder / "_tmp-old", folder / "_weights" / "_tmp-old"]
    new = [folder / "_tmp-new", folder / "_weights" / "_tmp-new"]
    for path in (*old, *new):
        path.write_bytes(b"half")
    for path in old:
        os.utime(path, (1, time.time() - 3700))

    Store.create(folder)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in new)
    assert (folder / "_weights" / "a.safetensors").exists()


def test_links_that_lead_out_of_the_store_are_neither_read_nor_written(
    store: Store, tmp_path: Path
):
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "elsewhere").mkdir()
    folder = Path(store.where)
    store.put_weights("mine", b"weights")
    (folder / "_weights" / "theirs.safetensors").symlink_to(tmp_path / "secret")
    (folder / "part-1.parquet").symlink_to(tmp_path / "secret")
    (folder / "_pictures").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UserError, match="holds a link that leads out of it: '_pictures/a.png'"):
        store.put_pictures("a", b"picture")
    with pytest.raises(UserError, match="holds a link that leads out of it"):
        read_kept(store.weights(), "theirs")
    assert store.set_torn_aside() == [] and len(store.read().rows) == 0
    with pytest.raises(UserError, match="holds part-1.parquet: is no file of rows but"):
        compact(folder, tmp_path / "small")
    (folder / "part-1.parquet").unlink()
    with pytest.raises(UserError, match="holds a link that leads out of it: '_pictures'"):
        compact(folder, tmp_path / "small")
    assert not (tmp_path / "small").exists()

    (folder / "_pictures").unlink()
    compact(folder, tmp_path / "small2")
    assert names(tmp_path / "small2" / "_weights") == ["mine.safetensors"]
    assert names(tmp_path / "elsewhere") == []
