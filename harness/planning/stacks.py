"""Which trials of one family train as one program: neighbouring sizes, where padding pays."""

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from harness.planning.memory import stack_bytes
from harness.planning.times import Planned, StackMember, StackTotals, TrialTimes
from harness.sweeps.trial import Batch, canonical_json
from harness.training.recipe import recipe_of

STACK_BYTES = 1_500_000_000
"""Bytes that a stack may take beyond its process. A larger one would not run faster."""

STACK_TRIALS = 256
"""Trials that a stack may hold."""


class StackLimit(NamedTuple):
    """Seconds and bytes that a stack may take."""

    seconds: float
    bytes: float


def stacks_of(family: list[StackMember], times: TrialTimes, limit: StackLimit) -> Iterator[Planned]:
    """Cut one family into stacks of whole groups: neighbouring sizes share a stack while padding
    costs less than a stack of its own."""
    for rectangle in _rectangles(family):
        for begin, end in joined_columns(rectangle, times):
            yield from _cut([group[begin:end] for group in rectangle], times, limit)


def _rectangles(family: list[StackMember]) -> Iterator[list[list[StackMember]]]:
    """Put groups with the same sizes together: one group a row, models in order of size."""
    groups: dict[str, list[StackMember]] = defaultdict(list)
    for member in family:
        groups[member.group].append(member)

    of_same_sizes: dict[Hashable, list[list[StackMember]]] = defaultdict(list)
    for group in groups.values():
        group.sort(key=lambda m: (m.shape.p, canonical_json(m.trial.config)))
        of_same_sizes[tuple(m.shape.sizes for m in group)].append(group)

    for rectangle in of_same_sizes.values():
        # neighbours of one recipe share an optimiser call
        rectangle.sort(key=lambda group: (group[0].config.rate, recipe_of(group[0].config)))
        yield rectangle


def joined_columns(
    rectangle: list[list[StackMember]], times: TrialTimes
) -> Iterator[tuple[int, int]]:
    """Yield the columns, begin … end − 1, of each stack.

    A column joins the stack of those before it where their models can be padded to its models'
    sizes, and where all together take less time than apart. What the columns before take is added
    up, not computed again for each column: a sweep may have tens of thousands of them.
    """
    begin = 0
    before = _Together.of([group[0] for group in rectangle], times)
    for end in range(1, len(rectangle[0])):
        column = _Together.of([group[end] for group in rectangle], times)
        together = before.with_column(column)

        can_be_padded = _fits_into(rectangle[0][end - 1].shape.sizes, rectangle[0][end].shape.sizes)
        apart = before.cheapest(times) + column.cheapest(times)
        if can_be_padded and times.stacked(together.totals) < apart:
            before = together
            continue

        yield begin, end
        begin = end
        before = column
    yield begin, len(rectangle[0])


class _Together(NamedTuple):
    """Trials that may become one stack."""

    totals: StackTotals
    alone_s: float
    """Their seconds one after another."""

    @classmethod
    def of(cls, members: list[StackMember], times: TrialTimes) -> "_Together":
        return cls(StackTotals.of(members), sum(map(times.alone, members)))

    def with_column(self, column: "_Together") -> "_Together":
        return _Together(self.totals.with_column(column.totals), self.alone_s + column.alone_s)

    def cheapest(self, times: TrialTimes) -> float:
        """Return their seconds, stacked or one after another."""
        return min(times.stacked(self.totals), self.alone_s)


def _fits_into(sizes: tuple[tuple[int, ...], ...], larger: tuple[tuple[int, ...], ...]) -> bool:
    """Return whether every parameter can be padded to its counterpart in the larger model."""
    if [len(size) for size in sizes] != [len(size) for size in larger]:
        return False
    for size, padded in zip(sizes, larger, strict=True):
        if any(a > b for a, b in zip(size, padded, strict=True)):
            return False
    return True


def _cut(groups: list[list[StackMember]], times: TrialTimes, limit: StackLimit) -> list[Planned]:
    """Cut a stack into pieces within the limit, of whole groups; a group that is too much by itself
    is cut between neighbouring sizes."""
    whole = [m for group in groups for m in group]
    alone = [times.alone(m) for m in whole]
    together = times.stacked(StackTotals.of(whole))
    if len(whole) == 1 or together >= sum(alone):
        return [
            Planned(Batch(((m.trial,),)), seconds) for m, seconds in zip(whole, alone, strict=True)
        ]

    fits = (
        len(whole) <= STACK_TRIALS
        and together <= limit.seconds
        and stack_bytes([m.resolved for m in whole], len(groups)) <= limit.bytes
    )
    if fits:
        return [Planned(Batch((tuple(m.trial for m in whole),)), together)]

    if len(groups) > 1:
        middle = len(groups) // 2
        halves = [groups[:middle], groups[middle:]]
    else:
        (group,) = groups
        middle = len(group) // 2
        halves = [[group[:middle]], [group[middle:]]]
    return [piece for half in halves for piece in _cut(half, times, limit)]
