"""Which sizes share a stack is what the plain rule says, which adds everything up anew for each
size. It is found in a time that grows with the number of sizes, not with its square.

Run alone: python -m pytest tests/planning/test_joined_columns.py
"""

from collections.abc import Callable, Iterator

import pytest

from harness.planning import stacks as stacks_module
from harness.planning.costs import Calibration, Cost
from harness.planning.resolved import ResolvedTrial
from harness.planning.stacks import joined_columns
from harness.planning.times import StackMember, StackTotals, TrialTimes
from harness.sweeps.registry import load
from harness.sweeps.trial import Trial
from tests.planning.grids import SPHERE, SWEEPS, over, planned, trials
from tests.planning.machines import LIKE_A_LAPTOP, MACHINES, PADDING_IS_FREE
from tests.planning.shapes import shape_with


def plainly_joined(
    rectangle: list[list[StackMember]], times: TrialTimes
) -> Iterator[tuple[int, int]]:
    """Say which columns share a stack, from the seconds of whole stacks."""

    def stacked(members: list[StackMember]) -> float:
        return times.stacked(StackTotals.of(members))

    def cheapest(members: list[StackMember]) -> float:
        return min(stacked(members), sum(map(times.alone, members)))

    def fits(smaller: StackMember, larger: StackMember) -> bool:
        pairs = list(zip(smaller.shape.sizes, larger.shape.sizes, strict=False))
        same_parts = len(smaller.shape.sizes) == len(larger.shape.sizes)
        return same_parts and all(
            len(a) == len(b) and all(x <= y for x, y in zip(a, b, strict=True)) for a, b in pairs
        )

    columns = len(rectangle[0])
    begin = 0
    for end in range(1, columns + 1):
        if end < columns and fits(rectangle[0][end - 1], rectangle[0][end]):
            before = [m for group in rectangle for m in group[begin:end]]
            column = [group[end] for group in rectangle]
            if stacked([*before, *column]) < cheapest(before) + cheapest(column):
                continue
        yield begin, end
        begin = end


COSTLY_PADDING = LIKE_A_LAPTOP._replace(stacked=Cost(2e-3, 1e-10, 1e-7, 1e-5))


@pytest.mark.slow
@over(SWEEPS, "sweep")
@over({**MACHINES, "padding costs": COSTLY_PADDING}, "machine")
def test_the_plain_rule_gives_the_same_batches(
    sweep: Callable[[], list[Trial]], machine: Calibration, monkeypatch: pytest.MonkeyPatch
):
    grid = sweep()
    found = planned(grid, machine)
    monkeypatch.setattr(stacks_module, "joined_columns", plainly_joined)
    plain = planned(grid, machine)

    assert [p.batch for p in found] == [p.batch for p in plain]
    assert [p.seconds for p in found] == pytest.approx([p.seconds for p in plain])


def test_no_size_is_added_up_twice(monkeypatch: pytest.MonkeyPatch):
    """Count the trials of which totals are made: each as a column, and each by itself."""
    (trial,) = trials(SPHERE, n=64, stop="epochs", max_epochs=1)
    config = trial.load_config()
    row = []
    for width in range(300):
        one = shape_with(p=10 * width)._replace(sizes=((width, 4), (width,)))
        resolved = ResolvedTrial(trial, load(SPHERE), config, one)
        row.append(StackMember(resolved, epochs=1.0, group="the only one"))

    made_of = []
    of = StackTotals.of

    def counting(members: list[StackMember]) -> StackTotals:
        made_of.append(len(members))
        return of(members)

    monkeypatch.setattr(StackTotals, "of", counting)
    joined = list(joined_columns([row], TrialTimes(PADDING_IS_FREE, measure_points=0)))
    assert joined == [(0, len(row))]
    assert sum(made_of) == 2 * len(row)
