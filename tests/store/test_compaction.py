"""Compaction: everything is in the new store, or there is none.

Run alone: python -m pytest tests/store/test_compaction.py
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.dispatch.retries import AttemptHistory
from harness.errors import UserError
from harness.store import compact as compact_module
from harness.store import disk
from harness.store.compact import compact
from harness.store.location import read_kept
from harness.store.store import IDENTITY, Store
from harness.store.writer import Writer
from harness.terminal.status import status, status_table
from tests.store.rows import FAILED, Crash, full_row, names, ran, record, row


@pytest.mark.slow
def test_compact_keeps_every_attempt_weights_sweeps_and_runs(store: Store, tmp_path: Path):
    store.append([row("a", **FAILED)])
    store.append([row("a", attempt=2), {**full_row("b"), "measured_at": None}])
    store.append([row("c", noise_radii=[])])
    store.put_weights("a", b"weights")
    store.put_pictures("a", b"picture")
    records = [record("s", ["a"]), record("u", ["b"], "source")]
    for sweep in records:
        store.put_sweep(sweep)
    store.put_run(ran(1))

    assert compact(Path(store.where), tmp_path / "small") == (3, 4, 1)
    small = Store.open(tmp_path / "small")
    assert len([n for n in names(Path(small.where)) if n.startswith("part-")]) == 1
    pd.testing.assert_frame_equal(small.read().rows, store.read().rows)
    pd.testing.assert_frame_equal(pd.read_parquet(Path(small.where)), store.read().rows)
    assert (Path(small.where) / "_weights" / "a.safetensors").read_bytes() == b"weights"
    assert (Path(small.where) / "_pictures" / "a.png").read_bytes() == b"picture"
    assert sorted(small.sweeps(), key=lambda r: r.name) == records
    assert small.runs() == [ran(1)]


def test_compact_of_an_empty_store(store: Store, tmp_path: Path):
    assert compact(Path(store.where), tmp_path / "small") == (0, 0, 0)
    assert len(Store.open(tmp_path / "small").read().rows) == 0


def test_compact_refuses_an_existing_target(store: Store, tmp_path: Path):
    store.append([row()])
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="exists; compact writes a new store"):
        compact(Path(store.where), tmp_path / "there")
    assert names(tmp_path / "there") == []


def test_compact_refuses_a_torn_source(store: Store, tmp_path: Path):
    store.append([row()])
    (Path(store.where) / "part-torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="part-torn.parquet: is torn"):
        compact(Path(store.where), tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_compact_that_cannot_be_written_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
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


def killed_after(writes: int) -> Callable[[Path, Path], None]:
    """Return an os.replace that works for so many writes and then crashes."""
    replace = os.replace
    left = writes

    def replace_or_crash(source: Path, target: Path) -> None:
        nonlocal left
        if not left:
            raise Crash
        left -= 1
        replace(source, target)

    return replace_or_crash


@pytest.mark.slow
def test_a_compaction_that_was_killed_is_no_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whichever write the kill comes at, the target is either refused or holds everything."""
    store.append([row()])
    store.put_weights("a", b"weights")
    store.put_sweep(record("s", ["a"]))
    store.put_run(ran(1))
    crashes = 0

    for survived in range(10):
        target = tmp_path / f"small-{survived}"
        with monkeypatch.context() as patch:
            patch.setattr(disk.os, "replace", killed_after(survived))
            try:
                compact(str(store), target)
                break
            except Crash:
                crashes += 1

        try:
            half = Store.open(target)
        except UserError:
            continue
        if len(half.read().rows):
            assert half.sweeps() == store.sweeps()
            assert half.runs() == store.runs()
            assert read_kept(half.weights(), "a") == b"weights"
    assert crashes >= 6


def test_compact_goes_on_where_one_was_killed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store.append([row()])
    store.put_weights("a", b"weights")
    target = tmp_path / "small"
    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "replace", killed_after(2))
        with pytest.raises(Crash):
            compact(str(store), target)
    assert "_compacting.json" in names(target)

    with pytest.raises(UserError, match=rf"process {os.getpid()} on .* is compacting a store"):
        compact(str(store), target)  # the process lives, for all that is known
    monkeypatch.setattr(Writer, "has_ended", lambda self: True)
    assert compact(str(store), target) == (1, 1, 1)
    assert len(Store.open(target).read().rows) == 1 and "_compacting.json" not in names(target)

    with pytest.raises(UserError, match="exists; compact writes a new store"):
        compact(str(store), target)


def test_compact_refuses_a_target_inside_a_store(store: Store):
    store.append([row()])
    before = names(Path(store.where))
    for target in (Path(store.where) / "new", Path(store.where) / "a" / "b"):
        with pytest.raises(UserError, match="lies inside the store"):
            compact(str(store), target)
    assert names(Path(store.where)) == before


@pytest.mark.slow
def test_compact_holds_few_rows_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compact_module, "ROWS_TOGETHER", 3)
    monkeypatch.setattr(compact_module, "AT_ONCE", 2)
    for k in range(9):
        store.append([row(f"{k}")])
    assert compact(str(store), tmp_path / "small") == (9, 9, 1)
    (file,) = (tmp_path / "small").glob("part-*.parquet")
    groups = pq.ParquetFile(file).metadata
    sizes = [groups.row_group(k).num_rows for k in range(groups.num_row_groups)]
    assert sizes == [4, 4, 1]
    read = Store.open(tmp_path / "small").read(IDENTITY).rows
    assert sorted(read["trial_id"]) == sorted(store.read().rows["trial_id"])


def test_a_store_of_many_files_says_how_to_compact_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    for k in range(3):
        store.append([row(f"{k}")])
    assert not status(store).advice
    monkeypatch.setattr(compact_module, "FROM_FILES", 3)
    (sentence,) = status(store).advice
    assert sentence.startswith("3 row files: from 3 on a store opens slowly")
    command = f"unilaw compact {store} {store}-compacted"
    assert command in sentence and command in status_table(status(store))

    said: list[str] = []
    AttemptHistory.read(store, said.append)
    assert said == [sentence]
