"""Turn counts into the lines of the table, and hold each against the rates that are stated.

Stated: an interval holds the planted slope in at least COVERAGE of the stores, in every design, and
in at most TOO_WIDE over all; a wrong answer in at most WRONG_AT_MOST; the right one in at least
RIGHT_AT_LEAST where the design has the power. A rate is broken when a count at the stated rate
would be as bad in less than ALARM of the runs, so that luck does not fail a self-test.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from scipy.stats import binom

from reports.selftest.judge import INTERVAL, OPEN, RIGHT, WRONG
from reports.selftest.reference import Power
from reports.selftest.simulate import Counted

COVERAGE = 0.90
TOO_WIDE = 0.99
WRONG_AT_MOST = 0.05
RIGHT_AT_LEAST = 0.95
HAS_POWER = 0.945
"""Of the analyst who knows the spreads: 95 % is the most that a 95 % interval can give."""
ALARM = 0.001


class Line(NamedTuple):
    """Answers to one question in one design with one planted truth.

    subject: the kind that the question was about; empty for a claim about the store. power: how
    often an analyst who knows the spreads gives the right answer; None where that is not asked.
    broken: which stated rate the counts break; empty when none.
    """

    design: str
    rough: bool
    truth: str
    question: str
    subject: str
    right: int
    open: int
    wrong: int
    power: float | None
    broken: str

    @property
    def total(self) -> int:
        return self.right + self.open + self.wrong

    def share(self, count: int) -> float:
        """Return a count over all answers."""
        return count / self.total


def lines_of(counts: Counter[Counted], power: Power) -> list[Line]:
    """Return one line for each question, design, truth and subject, in the order of counting."""
    places = dict.fromkeys(counted[:-1] for counted in sorted(counts))
    lines = []
    for place in places:
        design, rough, truth, question, subject = place
        right, undecided, wrong = (counts[Counted(*place, o)] for o in (RIGHT, OPEN, WRONG))
        own = None if rough else power.get((design, truth, question, subject))
        line = Line(*place, right, undecided, wrong, own, "")
        lines.append(line._replace(broken=_broken(line)))
    return lines


def _broken(line: Line) -> str:
    """Return which stated rate the counts break."""
    if line.question == INTERVAL:
        bad = binom.cdf(line.right, line.total, COVERAGE) < ALARM
        return f"covers {line.share(line.right):.0%}, stated ≥ {COVERAGE:.0%}" if bad else ""
    if binom.sf(line.wrong - 1, line.total, WRONG_AT_MOST) < ALARM:
        return f"wrong in {line.share(line.wrong):.0%}, stated ≤ {WRONG_AT_MOST:.0%}"
    demanded = line.power is not None and line.power >= HAS_POWER
    if demanded and binom.cdf(line.right, line.total, RIGHT_AT_LEAST) < ALARM:
        return f"right in {line.share(line.right):.0%}, stated ≥ {RIGHT_AT_LEAST:.0%}"
    return ""


def merged(lines: Iterable[Line]) -> list[Line]:
    """Return the lines with the kinds of a design taken together. power: the mean over kinds.
    broken: whatever is broken in any of them, or in the sum."""
    together: dict[tuple[object, ...], list[Line]] = {}
    for line in lines:
        together.setdefault(line[:4], []).append(line)

    sums = []
    for parts in together.values():
        known = [part.power for part in parts if part.power is not None]
        total = parts[0]._replace(
            subject="",
            right=sum(part.right for part in parts),
            open=sum(part.open for part in parts),
            wrong=sum(part.wrong for part in parts),
            power=sum(known) / len(known) if known else None,
        )
        own = _broken(total._replace(power=min(known) if known else None))
        reasons = [
            f"{part.subject}: {part.broken}" for part in parts if part.subject and part.broken
        ]
        sums.append(total._replace(broken="; ".join(filter(None, [own, *reasons]))))
    return sums


def coverage(lines: Iterable[Line]) -> float:
    """Return the share of intervals, over all lines, that hold the planted slope."""
    intervals = [line for line in lines if line.question == INTERVAL]
    return sum(line.right for line in intervals) / sum(line.total for line in intervals)


def conclusion(sums: list[Line], stores: int, seed: int) -> str:
    """Return what the self-test found, in one sentence. sums: as `merged` returns them."""
    covered = coverage(sums)
    intervals = [line for line in sums if line.question == INTERVAL]
    lowest = min(intervals, key=lambda line: line.share(line.right))
    text = (
        f"{stores} simulated stores, seed {seed}: intervals held the planted slope in"
        f" {covered:.1%}, in {lowest.share(lowest.right):.0%} at worst ({lowest.design},"
        f" {lowest.truth}{', rough' if lowest.rough else ''})"
    )
    count = sum(bool(line.broken) for line in sums)
    if covered > TOO_WIDE:
        return f"{text}: wider than the {TOO_WIDE:.0%} that is stated; {_rates(count)} broken."
    return f"{text}; {_rates(count)} broken."


def _rates(count: int) -> str:
    return {0: "no stated rate is", 1: "1 stated rate is"}.get(count, f"{count} stated rates are")
