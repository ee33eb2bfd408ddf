"""Say which section of the page recomputes which numbers of the ledger, and check them."""

from collections.abc import Callable

import pandas as pd
import pytest

from tests.reports.page_reader import Page

GROUPS = {
    "header": {"count", "answer", "rules"},
    "law": {"law", "shape"},
    "firmness": {"filter", "budget"},
    "binding": {"binding"},
    "collapse": {"collapse"},
    "data": {"data"},
    "tokens": {"tokens"},
    "pictures": {"picture"},
    "published": {"published"},
    "claims": {"C1", "C2a", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11"},
    "trust": {"attacks"},
}
"""Section → the first parts of the keys of its numbers. The ladder, the frontier and
recipes have stores of their own."""

Recompute = Callable[[str, pd.DataFrame, pd.DataFrame, dict], float]
"""A function that computes a number again from its key, the rows behind it, all rows, and the
ledger by key."""


def group_of(key: str) -> str:
    return key.partition(":")[0]


def name_of(key: str) -> str:
    return key.rpartition(":")[2]


def check_section(rich: tuple[Page, pd.DataFrame], section: str, recomputed: Recompute) -> None:
    """Check every number of a section against plain rows, which other code than the report's
    reads."""
    page, rows = rich
    ledger = page.ledger()
    own = {key: entry for key, entry in ledger.items() if group_of(key) in GROUPS[section]}
    assert own
    behind: dict[tuple[str, ...], pd.DataFrame] = {(): rows.iloc[:0]}
    for key, entry in own.items():
        trials = tuple(entry["trials"])
        if trials not in behind:  # most numbers share their rows, of 300 columns, with others
            behind[trials] = rows.loc[list(trials)]
        expected = recomputed(key, behind[trials], rows, ledger)
        assert entry["value"] == pytest.approx(expected, rel=1e-6), f"{key}: {entry['how']}"
