"""Compaction: everything is in the new store, or there is none."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import UserError
from harness.store import disk
from harness.store.compact import compact
from harness.store.location import read_kept
from harness.store.store import Store
from tests.store.rows import FAILED, Crash, full_row, names, ran, record, row


def test_compact_keeps_every_attempt_weights_sweeps_and_runs(store: Store, tmp_path: Path):
    store.append([row("a", **FAILED)])
    store.append([row("a", attempt=2), full_row("b")])
    store.append([row("c", noise_radii=[])])
    store.put_weights("a", b"weights")
    store.put_pictures("a", b"picture")
    records = [record("s", ["a"]), record("u", ["b"], "source")]
    for sweep in records:
        store.put_sweep(sweep)
    store.put_run(ran(1))

    assert compact(Path(store.where), tmp_path / "small") == (3, 4)
    small = Store.open(tmp_path / "small")
    assert len([n for n in names(Path(small.where)) if n.startswith("part-")]) == 1
    pd.testing.assert_frame_equal(small.read().rows, store.read().rows)
    pd.testing.assert_frame_equal(pd.read_parquet(Path(small.where)), store.read().rows)
    assert (Path(small.where) / "_weights" / "a.safetensors").read_bytes() == b"weights"
    assert (Path(small.where) / "_pictures" / "a.png").read_bytes() == b"picture"
    assert sorted(small.sweeps(), key=lambda r: r.name) == records
    assert small.runs() == [ran(1)]


def test_compact_of_an_empty_store(store: Store, tmp_path: Path):
    assert compact(Path(store.where), tmp_path / "small") == (0, 0)
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
