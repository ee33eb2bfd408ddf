"""The latest view: one row per trial, whatever its history.

Run alone: python -m pytest tests/store/test_latest.py
"""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.store.latest import latest
from harness.store.schema import COLUMNS, arrow_schema
from tests.store.rows import FAILED, NOON, row


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
    "the row measured again wins over its own, whose clock was a day ahead": (
        [row(p=1, measurement=0, finished_at=at(24 * 60)), row(p=2, measurement=1)],
        2,
    ),
    "so it does over a row from before measurements were counted": (
        [row(p=1, finished_at=at(24 * 60)), row(p=2, measurement=1)],
        2,
    ),
    "the newest failure stands when none is ok": (
        [row(p=1, **FAILED), row(p=2, attempt=2, finished_at=at(1), **FAILED)],
        2,
    ),
    "the later attempt stands when times are equal": (
        [row(p=2, attempt=2, **FAILED), row(p=1, **FAILED)],
        2,
    ),
    "the later attempt stands after one whose clock was a day ahead": (
        [row(p=2, attempt=2, **FAILED), row(p=1, finished_at=at(24 * 60), **FAILED)],
        2,
    ),
}
"""Rows of one trial, and the p of the row that the latest view shows."""


@pytest.mark.parametrize("rows,expected", VIEWS.values(), ids=VIEWS.keys())
def test_latest(rows: list[dict[str, Any]], expected: int):
    view = latest(frame(*rows))
    assert view["p"].tolist() == [expected]
    assert view.columns.tolist() == [c.name for c in COLUMNS]


HISTORIES = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(1, 3), st.integers(0, 5)),
    min_size=1,
    max_size=12,
)
"""Attempts in order: trial, whether it succeeded, measures_version, minute."""


@pytest.mark.slow
@settings(derandomize=True, max_examples=25, deadline=None)
@given(HISTORIES)
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
        attempts = [tail for trial, *tail in history if trial == chosen["trial_id"]]
        is_ok = chosen["status"] == "ok"
        assert is_ok == any(ok for ok, *_ in attempts)

        versions = [version for ok, version, _ in attempts if ok == is_ok]
        newest = max(versions)
        assert chosen["measures_version"] == newest

        last = [
            k
            for k, a in enumerate(history, start=1)
            if (a[0], *a[1:3]) == (chosen["trial_id"], is_ok, newest)
        ][-1]
        assert chosen["attempt"] == last

    pd.testing.assert_frame_equal(latest(view), view)
    pd.testing.assert_frame_equal(latest(frame(*reversed(rows))), view)
