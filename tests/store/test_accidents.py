"""No accident makes a torn or lost row: kills, damage, full disks, links, and somebody else's
files."""

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
        during.append(names(Path(str(store))))
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "replace", crash)
        with pytest.raises(Crash):
            store.append([row("b")])
    parts = [n for n in names(Path(str(store))) if n.startswith("part-")]
    assert (
        [n for n in during[0] if n not in ("_store.json", *parts)]
        == [n for n in during[0] if n.startswith("_tmp-")]
        != []
    )
    assert len(parts) == 1
    assert (
        pd.read_parquet(Path(str(store)))["trial_id"].tolist()
        == ["a"]
        == store.read().rows["trial_id"].tolist()
    )


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
    assert len(contents.problems) == 1 and contents.problems[0].startswith(
        f"{torn.name}: is torn or not Parquet"
    )
    (said,) = store.set_torn_aside()
    assert said.startswith(f"{torn.name}: is torn") and "_set_aside" in said
    assert store.read().problems == [] and store.set_torn_aside() == []
    assert pd.read_parquet(Path(str(store)))["trial_id"].tolist() == ["good"]
    assert (Path(str(store)) / "_set_aside" / torn.name).exists(), "moved, not deleted"


@settings(derandomize=True, max_examples=150, deadline=None)
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
    "another type": (
        pa.Table.from_pylist([row()]).append_column("p", pa.array(["many"])),
        "has a column of another type",
    ),
    "a column twice": (
        pa.Table.from_pylist([row()]).append_column("trial_id", pa.array(["t"])),
        "has a column of another type",
    ),
}


@pytest.mark.parametrize("table,reason", FOREIGN.values(), ids=FOREIGN.keys())
def test_parquet_that_is_not_rows_is_named_and_set_aside(
    store: Store, table: pa.Table, reason: str
):
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
        assert contents.problems == [] and len(contents.rows) % 2 == 0, (
            "a file's rows come together"
        )
    assert store.read().rows["trial_id"].nunique() == 3 * 15 * 2


def test_a_full_disk_is_said_in_one_sentence_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.append([row("a")])
    before, write = names(Path(str(store))), Path.write_bytes

    def half(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    for put in (
        lambda: store.append([row("b")]),
        lambda: store.put_weights("a", b"weights"),
        lambda: store.put_run(ran(1)),
    ):
        with pytest.raises(
            UserError,
            match=(
                r"^the store '.*' cannot be written: No space left on device; .*free some space"
                r" and run"
            ),
        ):
            put()
    assert [n for n in names(Path(str(store))) if n not in ("_weights", "_runs")] == before
    assert [
        p for p in Path(str(store)).rglob("*") if p.is_file() and p.name.startswith("_tmp-")
    ] == []
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
    left = [
        folder / "_tmp-old",
        folder / "_weights" / "_tmp-old",
        folder / "_tmp-new",
        folder / "_weights" / "_tmp-new",
    ]
    for path in left:
        path.write_bytes(b"half")
    for path in left[:2]:
        os.utime(path, (1, time.time() - 3700))
    Store.create(folder)
    assert [path.exists() for path in left] == [False, False, True, True]
    assert (folder / "_weights" / "a.safetensors").exists()


def test_links_that_lead_out_of_the_store_are_neither_read_nor_written(
    store: Store, tmp_path: Path
):
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
    assert (
        names(tmp_path / "small2" / "_weights") == ["mine.safetensors"]
        and names(tmp_path / "elsewhere") == []
    )
    assert not (tmp_path / "small").exists()
