"""The sentence of the column `data_note`: the task drew its data from a generator that the whole
process shares.

    shared_draws(["torch"])

The sentence has a file in this room because an execution writes it and `reports.trackers` sends it
on: of texts that a store from anywhere may hold in this column, only these leave.
"""

from collections.abc import Iterable
from itertools import combinations

SHARED = ("torch", "numpy.random", "random")
"""The modules whose own generator the whole process shares."""


def shared_draws(touched: Iterable[str]) -> str:
    """Return what is wrong with data that came from the generators of these modules, as one
    sentence."""
    return (
        f"data() drew from the global generator of {' and '.join(touched)}, or seeded it; the same"
        ' trial then need not get the same data: draw from seeds.generator("data")'
    )


NOTES = frozenset(
    shared_draws(touched)
    for count in range(1, len(SHARED) + 1)
    for touched in combinations(SHARED, count)
)
"""Every sentence that a run can write."""
