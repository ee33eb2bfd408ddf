"""Which trials of one family train as one program: neighbouring sizes, where padding pays."""

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from harness.planning.memory import stack_bytes
from harness.planning.model_shape import Shape
from harness.planning.times import Planned, StackMember, StackTotals, TrialTimes
from harness.sweeps.trial import Batch, canonical_json
from harness.training.recipe import recipe_of

WORTH_CUTTING = 1.25
"""A stack that takes longer than it should is cut unless its halves together take this multiple of
its seconds, as where a step of two models takes a GPU as long as one of a hundred."""


class StackLimit(NamedTuple):
    """What a stack may take."""

    seconds: float
    bytes: float
    trials: int
    most_seconds: float
    """A stack that is not worth cutting may take so long, instead of `seconds`."""


Uncut = list[list[StackMember]]
"""A stack before it is cut: a list of rows of members, in order of size. All rows hold the same
sizes; the members of a row see the same samples."""


def uncut_stacks(family: list[StackMember], times: TrialTimes) -> Iterator[Uncut]:
    """Yield the stacks of one family, of whole groups: neighbouring sizes share a stack while
    padding costs less than a stack of its own."""
    for rectangle in _rectangles(family):
        for begin, end in joined_columns(rectangle, times):
            yield [row[begin:end] for row in rectangle]


def _rectangles(family: list[StackMember]) -> Iterator[Uncut]:
    """Put groups with the same sizes together: one group a row, models in order of size.

    Groups of one size each, as where the learning rate follows the width, become the columns of one
    rectangle, if there are equally many of each size.
    """
    groups: dict[str, list[StackMember]] = defaultdict(list)
    for member in family:
        groups[member.group].append(member)

    of_same_sizes: dict[Hashable, Uncut] = defaultdict(list)
    for group in groups.values():
        group.sort(key=lambda m: (m.shape.p, canonical_json(m.trial.config)))
        of_same_sizes[tuple(m.shape.sizes for m in group)].append(group)

    single_columns: dict[int, Uncut] = defaultdict(list)
    for rectangle in of_same_sizes.values():
        # neighbours of one recipe share an optimiser call
        rectangle.sort(key=lambda group: (group[0].config.rate, recipe_of(group[0].config)))
        if len(rectangle[0]) == 1:
            single_columns[len(rectangle)].append([member for (member,) in rectangle])
        else:
            yield rectangle

    for columns in single_columns.values():
        columns.sort(key=lambda column: column[0].shape.p)
        yield [list(row) for row in zip(*columns, strict=True)]


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

        can_be_padded = _fits_into(rectangle[0][end - 1].shape, rectangle[0][end].shape)
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


def _fits_into(shape: Shape, larger: Shape) -> bool:
    """Return whether every parameter can be padded to its counterpart in the larger model."""
    if shape.sizes == larger.sizes:
        return True
    if not shape.pads or [len(size) for size in shape.sizes] != [len(s) for s in larger.sizes]:
        return False
    for size, padded in zip(shape.sizes, larger.sizes, strict=True):
        if any(a > b for a, b in zip(size, padded, strict=True)):
            return False
    return True


def cut(rows: Uncut, times: TrialTimes, limit: StackLimit) -> list[Planned]:
    """Cut a stack into pieces within the limit, of whole rows; a row that is too much by itself
    is cut between neighbouring sizes. Trials that gain nothing by a stack run alone."""
    whole = [member for row in rows for member in row]
    totals = StackTotals.of(whole)
    alone = [times.alone(member) for member in whole]
    together = times.stacked(totals)
    if len(whole) == 1 or together >= sum(alone):
        return [
            Planned(Batch(((m.trial,),)), seconds) for m, seconds in zip(whole, alone, strict=True)
        ]

    halves = _halves(rows)
    fits = (
        len(whole) <= limit.trials
        and stack_bytes([m.resolved for m in whole], totals.groups) <= limit.bytes
    )
    is_short = together <= limit.seconds
    if not is_short and together <= limit.most_seconds:
        apart = [times.stacked(StackTotals.of([m for row in half for m in row])) for half in halves]
        is_short = sum(apart) >= WORTH_CUTTING * together
    if fits and is_short:
        return [Planned(Batch((tuple(m.trial for m in whole),)), together)]
    return [piece for half in halves for piece in cut(half, times, limit)]


def _halves(rows: Uncut) -> tuple[Uncut, Uncut]:
    if len(rows) > 1:
        middle = len(rows) // 2
        return rows[:middle], rows[middle:]
    (row,) = rows
    middle = len(row) // 2
    return [row[:middle]], [row[middle:]]
