"""Compaction: everything is in the new store, or there is none."""

import errno
import os
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


def test_a_compaction_that_was_killed_is_no_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
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
            patch.setattr(disk.os, "replace", killed)
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
            assert (
                half.sweeps() == store.sweeps()
                and half.runs() == store.runs()
                and read_kept(half.weights(), "a") == b"weights"
            )
    assert written >= 6
