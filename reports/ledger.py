"""Write the ledger: every number in the page's prose, how it was computed, and the trials behind
it.

Each trial's id stands once. A number names a set of trials, and a set is a text of ranges such as
"0-9,12": positions in the list of ids, which follows kind, curve and size, because most numbers are
about all trials of a kind.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from reports.numbers import Number

ORDER = ("kind", "curve", "p", "seed", "trial_id")
"""The columns that put trials in the page's order."""


def in_order(trials: pd.DataFrame) -> pd.DataFrame:
    """Return trials in the page's order: by kind, curve, size and seed."""
    # Texts of a curve are long and shared by many rows, so their ranks are sorted and not they.
    ranks = [
        pd.factorize(trials[column], sort=True)[0]
        if column in ("kind", "curve")
        else trials[column]
        for column in ORDER
        if column in trials
    ]
    return trials.iloc[np.lexsort(ranks[::-1])] if len(trials) else trials


def ledger(numbers: Iterable[Number], trials: Sequence[str]) -> dict[str, Any]:
    """Return the ledger as plain values: `trials`, `sets` and `numbers`.

    trials: ids in the page's order; ids that are not among them, as of failures, come last. A key
    that several sections state is listed once.
    """
    places = {trial: place for place, trial in enumerate(trials)}
    sets: dict[tuple[str, ...], int] = {}
    entries = {
        number.key: {
            **number.as_json(),
            "set": sets.setdefault(number.trials, len(sets)) if number.trials else None,
        }
        for number in numbers
    }
    texts = [_ranges([places.setdefault(trial, len(places)) for trial in own]) for own in sets]
    return {"trials": list(places), "sets": texts, "numbers": list(entries.values())}


def _ranges(places: list[int]) -> str:
    """Return positions as a text of ranges, both ends included."""
    sorted_places = np.unique(places)
    breaks = np.flatnonzero(np.diff(sorted_places) > 1)
    first = sorted_places[np.append(0, breaks + 1)].tolist()
    last = sorted_places[np.append(breaks, len(sorted_places) - 1)].tolist()
    return ",".join(f"{a}-{b}" if b > a else f"{a}" for a, b in zip(first, last, strict=True))
