"""Judge a fitted slope by the law's order, and ask whether the verdict hangs on the filter.

A verdict hangs on the filter where the slope of a filter's cells gives another verdict *and*
differs from the slope of all cells by more than chance. Another verdict alone does not count: under
a true order of 1/2 one of the filters leads to one by noise in 8 to 13 % of stores.

    judge({1: slope, 2: …, 4: …, 8: …}, unmet="", sign=+1).verdict

The law is a ceiling on stability and on the training radius, a floor under the Lipschitz constant.
Its bound rises like p^(1/2), or falls like p^(-1/2). A bound implies no slope: a curve may stay
below it at any slope less than 1/2 for ever.
"""

from typing import NamedTuple

from reports.fits.slope import LEVEL, Slope, difference

ORDER = 0.5
NARROW = 0.15
"""Half-width below which an interval that contains ±1/2 counts as attaining the law's order."""
COMPATIBLE = "compatible, order not attained"
ATTAINS = "attains the law's order"
STEEPER = "steeper than the law's bound in the long run"
CANNOT_TELL = "cannot tell"
RULE = (
    "A verdict is cannot tell where the cells from 2, 4 or 8 times the onset's p on lead to another"
    " one and their slope differs from that of all cells by an interval that excludes 0; the"
    " intervals of all filters hold together at 95 %."
)
CAME_TRAINED = "trained elsewhere, outside the law's condition: no fit, no verdict"
STOPPED_AT_NOISE = (
    "no fit, no verdict: training stopped at the noise level, where the radius is 0 by construction"
)


def meaning(verdict: str, sign: int) -> str:
    """Return a verdict's name in plain words, empty where it needs none.

    sign: +1 where the law sets a ceiling, -1 where it sets a floor.
    """
    if verdict != COMPATIBLE:
        return ""
    bound = "grows more slowly than its ceiling" if sign > 0 else "falls more slowly than its floor"
    return f"consistent with the law; {bound}"


class SlopeVerdict(NamedTuple):
    """A slope with its verdict. `filtered`: filter (a multiple of the onset's p) → slope and
    verdict of the cells from there on; the first is the slope itself. The verdicts of the filters
    say only what the interval says."""

    slope: Slope
    verdict: str
    filtered: dict[int, tuple[Slope, str]]

    @property
    def others(self) -> list[int]:
        """Return the filters that lead to another verdict than the slope itself, *cannot tell* left
        aside."""
        first, *further = self.filtered
        own = self.filtered[first][1]
        verdicts = {factor: self.filtered[factor][1] for factor in further}
        return [f for f, other in verdicts.items() if _decided(own, other) and other != own]

    @property
    def flips(self) -> list[int]:
        """Return those of `others` whose slope differs from the slope itself by an interval that
        excludes 0; the intervals of all filters hold together at LEVEL."""
        level = 1 - (1 - LEVEL) / max(len(self.filtered) - 1, 1)
        found = []
        for factor in self.others:
            _, low, high = difference(self.slope, self.filtered[factor][0], level)
            if low > 0 or high < 0:
                found.append(factor)
        return found


def judge(slopes: dict[int, Slope], unmet: str, sign: int) -> SlopeVerdict:
    """Return the verdict on the slopes by filter, ascending; the first one is the slope judged.

    unmet: why the rows do not test the law, empty where they do. sign: +1 where the law bounds
    growth (stability, training radius), -1 where it bounds a fall.
    """
    filtered = {factor: (slope, verdict_of(slope, sign)) for factor, slope in slopes.items()}
    first = next(iter(slopes))
    slope, verdict = filtered[first]
    found = SlopeVerdict(slope, verdict, filtered)
    if unmet and (not slope.failure or unmet in (CAME_TRAINED, STOPPED_AT_NOISE)):
        return found._replace(verdict=unmet)
    if found.flips:
        return found._replace(verdict=_flipped(found))
    return found


def verdict_of(slope: Slope, sign: int) -> str:
    """Return the verdict that a slope's interval allows, for the sign as in `judge`."""
    if slope.failure:
        return f"{CANNOT_TELL}: {slope.failure}"
    low, high = sorted((sign * slope.low, sign * slope.high))
    if high < ORDER:
        return COMPATIBLE
    if low > ORDER:
        return STEEPER
    if high - low < 2 * NARROW:
        return ATTAINS
    return f"{CANNOT_TELL}: the interval is too wide"


def _decided(*verdicts: str) -> bool:
    return not any(verdict.startswith(CANNOT_TELL) for verdict in verdicts)


def _flipped(found: SlopeVerdict) -> str:
    """Say which filters lead to which verdict, by more than chance."""
    by_verdict: dict[str, list[int]] = {}
    for factor in (next(iter(found.filtered)), *found.flips):
        by_verdict.setdefault(found.filtered[factor][1], []).append(factor)
    phrases = [
        f"{verdict} from {' and '.join(f'{factor}×' for factor in factors)} the onset's p on"
        for verdict, factors in by_verdict.items()
    ]
    return f"{CANNOT_TELL}: the verdict hangs on the filter: " + ", ".join(phrases)
