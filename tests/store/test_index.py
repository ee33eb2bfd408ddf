"""What became of trials is read from the index, and stays right whatever happens to the index or to
the row files.

Run alone: python -m pytest tests/store/test_index.py
"""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.store import store as store_module
from harness.store.folder import Folder
from harness.store.index import IDENTITY
from harness.store.schema import arrow_schema
from harness.store.store import Store
from tests.store.rows import names, row

INDEXED = list(IDENTITY)


def by_id(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[INDEXED].sort_values(["trial_id", "attempt"], ignore_index=True)


@pytest.fixture
def indexed(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of seven row files, six of them in two files of the index."""
    monkeypatch.setattr(store_module, "INDEXED_TOGETHER", 3)
    for k in range(7):
        failure = row(f"{k}+", status="failed", failure_kind="nan", attempt=k + 1)
        store.append([row(f"{k}"), failure])
    assert len(names(Path(store.where) / "_index")) == 2
    return Store.open(str(store))


def opened(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the name of each row file is added when the file is opened."""
    names: list[str] = []
    get = type(store.files).get

    def get_and_note(self: Folder, name: str) -> bytes:
        if name.startswith("part-"):
            names.append(name)
        return get(self, name)

    monkeypatch.setattr(type(store.files), "get", get_and_note)
    return names


@pytest.mark.slow
def test_what_became_of_trials_is_read_from_the_index(
    indexed: Store, monkeypatch: pytest.MonkeyPatch
):
    whole = by_id(indexed.read().rows)
    row_files = opened(indexed, monkeypatch)
    contents = indexed.read(IDENTITY)
    assert len(row_files) == 1 and contents.problems == []
    assert contents.rows.columns.tolist() == INDEXED
    pd.testing.assert_frame_equal(by_id(contents.rows), whole)

    assert indexed.read(["trial_id", "p"]).rows.columns.tolist() == ["trial_id", "p"]
    assert len(row_files) == 8, "p is not in the index"


@pytest.mark.slow
def test_the_index_follows_what_is_done_to_row_files(indexed: Store):
    folder = Path(indexed.where)
    gone, other, torn = sorted(folder.glob("part-*.parquet"))[:3]
    gone.unlink()
    pq.write_table(pa.Table.from_pylist([row("new")], schema=arrow_schema()), other)
    torn.write_bytes(torn.read_bytes()[:-9])

    contents = indexed.read(IDENTITY)
    assert [p.split(":")[0] for p in contents.problems] == [torn.name]
    pd.testing.assert_frame_equal(by_id(contents.rows), by_id(indexed.read().rows))
    assert len(indexed.set_torn_aside()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("of_ten", range(10))
def test_damage_that_keeps_a_files_size_is_set_aside_in_spite_of_the_index(
    indexed: Store, of_ten: int, monkeypatch: pytest.MonkeyPatch
):
    """Wherever in the file the damage is: a file can be decoded although some bytes of its footer
    have changed."""
    monkeypatch.setattr(store_module, "INDEXED_TOGETHER", 1)
    indexed.set_torn_aside()  # puts the seventh file into the index
    path = sorted(Path(indexed.where).glob("part-*.parquet"))[2]
    content = bytearray(path.read_bytes())
    content[len(content) * of_ten // 10] ^= 0x01
    path.write_bytes(content)

    (sentence,) = indexed.set_torn_aside()
    assert sentence.startswith(f"{path.name}: is ") and "moved to" in sentence
    assert len(indexed.read(IDENTITY).rows) == len(indexed.read().rows) == 12


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"{}", "rows"], ids=["empty", "torn", "text", "rows"]
)
def test_a_damaged_index_costs_nothing_but_time(indexed: Store, content: bytes | str):
    whole = by_id(indexed.read().rows)
    for path in (Path(indexed.where) / "_index").iterdir():
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            pq.write_table(pa.Table.from_pylist([row("x")]), path)
    contents = indexed.read(IDENTITY)
    assert contents.problems == []
    pd.testing.assert_frame_equal(by_id(contents.rows), whole)


@pytest.mark.slow
def test_row_files_older_than_the_index_get_into_it(
    indexed: Store, monkeypatch: pytest.MonkeyPatch
):
    shutil.rmtree(Path(indexed.where) / "_index")
    assert indexed.set_torn_aside() == []
    row_files = opened(indexed, monkeypatch)
    assert len(indexed.read(IDENTITY).rows) == 14 and row_files == []
