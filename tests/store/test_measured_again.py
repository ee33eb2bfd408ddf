"""Rows measured again never meet the rows that they stand for in a reader that knows neither: in
a folder read, by a pattern, after `compact`, or in a store of schema version 8.

Run alone: python -m pytest tests/store/test_measured_again.py
"""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.store import store as store_module
from harness.store.compact import compact
from harness.store.index import IDENTITY
from harness.store.latest import latest
from harness.store.store import Store
from harness.terminal.status import status
from tests.store.rows import NOON, names, row

AGAIN = {"measurement": 1, "measured_at": NOON}


@pytest.fixture
def measured(store: Store) -> Store:
    """A store of two trials, one of which was measured again, with everything in the index."""
    store.append([row("a", p=1), row("b", p=1)])
    store.append([row("a", p=2, **AGAIN)], again=True)
    store.index()
    return Store.open(store.where)


def parquet_below(folder: Path) -> pd.DataFrame:
    """Return what a reader of **/*.parquet finds."""
    return pd.concat([pq.read_table(path).to_pandas() for path in folder.rglob("*.parquet")])


def newest(store: Store) -> dict[str, int]:
    return dict(latest(store.read().rows)[["trial_id", "p"]].itertuples(index=False))


def assert_counted_once(store: Store) -> None:
    folder = Path(store.where)
    for rows in (pd.read_parquet(folder), parquet_below(folder)):
        assert sorted(rows["trial_id"]) == ["a", "b"] and rows["p"].eq(1).all()
    assert newest(store) == {"a": 2, "b": 1}
    assert len(store.read(IDENTITY).rows) == len(store.read().rows) == 3


def test_plain_readers_see_a_trial_once(measured: Store):
    assert_counted_once(measured)


def test_status_says_when_the_last_trial_ended_and_not_when_it_was_measured_again(store: Store):
    store.append([row("a", finished_at=NOON)])
    store.append([row("a", finished_at=NOON + timedelta(days=9), **AGAIN)], again=True)
    assert status(store).last_ended == f"{NOON:%Y-%m-%d %H:%M:%S}"


@pytest.mark.slow
def test_and_so_they_do_after_compact(measured: Store, tmp_path: Path):
    assert compact(measured.where, tmp_path / "small") == (2, 3, 2)
    small = Store.open(tmp_path / "small")
    assert len(small.row_file_names()) == 2
    assert_counted_once(small)


@pytest.mark.slow
def test_compact_parts_what_schema_8_wrote_together(store: Store, tmp_path: Path):
    store.append([row("a", p=1), row("b", p=1), row("a", p=2, finished_at=NOON, **AGAIN)])
    assert len(pd.read_parquet(Path(store.where))) == 3
    compact(store.where, tmp_path / "small")
    assert_counted_once(Store.open(tmp_path / "small"))


def test_a_torn_file_leaves_the_sight_of_every_pattern(measured: Store):
    (Path(measured.where) / "part-torn.parquet").write_bytes(b"PAR1")
    (_,) = Store.create(measured.where).set_torn_aside()
    assert_counted_once(measured)


@pytest.mark.slow
def test_an_index_of_schema_8_is_read_and_gets_todays_name(
    measured: Store, monkeypatch: pytest.MonkeyPatch
):
    """Whose files ended in .parquet, and lacked the column of measurements."""
    folder = Path(measured.where) / "_index"
    for path in folder.iterdir():
        path.unlink()
    with monkeypatch.context() as former:
        former.setattr("harness.store.index.SUFFIX", ".parquet")
        columns = [name for name in IDENTITY if name != "measurement"]
        former.setattr("harness.store.index.IDENTITY", columns)
        former.setattr(store_module, "INDEXED_TOGETHER", 1)
        store = Store.create(measured.where)
        store.set_torn_aside()
        former.setattr("harness.store.index.IDENTITY", IDENTITY)
        before = names(folder)
        assert len(Store.open(measured.where).read(IDENTITY).rows) == 3

    assert before and all(name.endswith(".parquet") for name in before)
    Store.create(measured.where).set_torn_aside()
    assert names(folder) == [name.replace(".parquet", ".index") for name in before]
    assert_counted_once(measured)


def test_a_second_measurement_stands_for_the_first_whatever_the_clock(measured: Store):
    second = {**AGAIN, "measurement": 2, "finished_at": NOON.replace(year=2020)}
    path = appended_again(measured, row("a", p=3, **second))
    assert path.name.startswith("_measured-") and newest(measured) == {"a": 3, "b": 1}


def appended_again(store: Store, new: dict[str, object]) -> Path:
    return Path(store.where) / store.append([new], again=True)
