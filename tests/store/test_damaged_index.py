"""The index is distrusted before the row files are: no damage to it changes a row, sets a sound
file aside or stops a command.

Run alone: python -m pytest tests/store/test_damaged_index.py
"""

import random
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.store.index import IDENTITY, RowFile, read_index, write_index
from harness.store.row_files import row_files
from harness.store.store import Store
from tests.store.rows import FAILED, names, row


@pytest.fixture
def indexed(store: Store) -> Store:
    """A store whose seven row files are all in the index."""
    for k in range(7):
        store.append([row(f"{k}"), row(f"{k}+", attempt=k + 1, **FAILED)])
    store.index()
    return Store.open(store.where)


def rows(store: Store) -> pd.DataFrame:
    read = store.read(IDENTITY)
    assert read.problems == []
    return read.rows.sort_values("trial_id", ignore_index=True)


def in_index(store: Store) -> int:
    files = row_files(store.files.entries())
    return len(read_index(store.files, files).checksums)


@pytest.mark.slow
def test_no_flipped_byte_of_the_index_changes_a_row(indexed: Store):
    whole = rows(indexed)
    (file,) = (Path(indexed.where) / "_index").iterdir()
    content = file.read_bytes()
    draw = random.Random(0)
    for _ in range(15):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        pd.testing.assert_frame_equal(rows(indexed), whole)
    assert in_index(indexed) == 0

    assert indexed.set_torn_aside() == [], "no row file is set aside"
    indexed.index()
    pd.testing.assert_frame_equal(rows(indexed), whole)
    assert in_index(indexed) == 7, "and the index is made anew"


@pytest.mark.slow
def test_a_wrong_entry_sets_no_sound_row_file_aside(indexed: Store):
    folder = Path(indexed.where)
    shutil.rmtree(folder / "_index")
    whole = rows(indexed)
    file = next(folder.glob("part-*.parquet"))
    table = pq.read_table(file).select(IDENTITY)
    write_index(indexed.files, [(RowFile(file.name, file.stat().st_size, 7, 2), table)])

    assert indexed.set_torn_aside() == []
    assert file.exists()
    indexed.index()
    assert in_index(indexed) == 7
    pd.testing.assert_frame_equal(rows(indexed), whole)


@pytest.mark.slow
def test_an_old_row_file_without_a_checksum_in_its_name_is_trusted(indexed: Store):
    folder = Path(indexed.where)
    file = next(folder.glob("part-*.parquet"))
    table = pq.read_table(file).select(IDENTITY)
    old = file.rename(folder / "part-0123.parquet")
    write_index(indexed.files, [(RowFile(old.name, old.stat().st_size, 7, 2), table)])
    assert indexed.set_torn_aside() == [] and len(rows(indexed)) == 14


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", "link out", "link to itself", "folder in it"])
def test_an_unreadable_index_stops_nothing_and_is_made_anew(
    indexed: Store, tmp_path: Path, place: str
):
    whole = rows(indexed)
    index = Path(indexed.where) / "_index"
    if place == "folder in it":
        (index / "x.parquet").mkdir()
        (index / "y.parquet").symlink_to("y.parquet")
    else:
        shutil.rmtree(index)
    if place == "file":
        index.write_text("an index")
    elif place == "link out":
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "mine").write_text("mine")
        index.symlink_to(tmp_path / "outside")
    elif place == "link to itself":
        index.symlink_to("_index")

    pd.testing.assert_frame_equal(rows(indexed), whole)
    run = Store.create(indexed.where)
    assert run.set_torn_aside() == []
    run.append([row("new")])
    run.index()
    assert in_index(indexed) == 8
    assert len(rows(indexed)) == 15
    if place == "link out":
        assert names(tmp_path / "outside") == ["mine"], "what a link leads to is left alone"
