"""What a store already has of a sweep's trials."""

from collections import Counter
from collections.abc import Iterable

from harness.store.index import IDENTITY
from harness.store.latest import newest
from harness.store.store import Store


def outcomes(store: Store, trial_ids: Iterable[str]) -> dict[str, str | None]:
    """Return each trial's outcome in the latest view: ok, failed, or None without a row."""
    rows = store.read(IDENTITY).rows
    latest = rows.iloc[newest(rows)]
    known = dict(zip(latest["trial_id"], latest["status"], strict=True))
    return {trial_id: known.get(trial_id) for trial_id in trial_ids}


def outcomes_line(store: Store, found: dict[str, str | None]) -> str:
    """Return how many trials are ok, failed and without a row."""
    count = Counter(found.values())
    return f"In {store}: {count['ok']} ok, {count['failed']} failed, {count[None]} without a row."
