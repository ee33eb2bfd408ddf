"""Batches of a test's own in place of the planner's."""

from collections.abc import Sequence

from harness.planning.batches import Planned
from harness.planning.schedule import Schedule
from harness.sweeps.trial import Batch


def schedule_of(batches: Sequence[Batch], seconds: float) -> Schedule:
    """Return a schedule of these batches, one at a time, each of which should take so long."""
    return Schedule([Planned(batch, seconds) for batch in batches], 1, 1.0, 0.0, None)
