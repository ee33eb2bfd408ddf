"""Judge a fitted slope by the law's order, and ask whether the verdict hangs on the filter.

    judge({1: slope, 2: …, 4: …, 8: …}, unmet="", sign=+1).verdict

The law is a ceiling on stability and on the training radius, a floor under the Lipschitz constant.
Its bound rises like p^(1/2), or falls like p^(-1/2). A bound implies no slope: a curve may stay
below it at any slope less than 1/2 for ever.
"""

from typing import NamedTuple

from reports.fits.slope import Slope

ORDER = 0.5
NARROW = 0.15
"""Half-width below which an interval that contains ±1/2 counts as attaining the law's order."""
COMPATIBLE = "compatible, order not attained"
ATTAINS = "attains the law's order"
STEEPER = "steeper than the law's bound in the long run"
CANNOT_TELL = "cannot tell"
CAME_TRAINED = "trained elsewhere, outside the law's condition: no fit, no verdict"


class SlopeVerdict(NamedTuple):
    """A slope with its verdict. `filtered`: filter (a multiple of the onset's p) → slope and
    verdict of the cells from there on; the first is the slope itself. The verdicts of the filters
    say only what the interval says."""

    slope: Slope
    verdict: str
    filtered: dict[int, tuple[Slope, str]]

    @property
    def flips(self) -> bool:
        """Return whether two filters lead to different verdicts, cannot tell left aside."""
        return len({verdict for _, verdict in self.filtered.values() if _decided(verdict)}) > 1


def judge(slopes: dict[int, Slope], unmet: str, sign: int) -> SlopeVerdict:
    """Return the verdict on the slopes by filter, ascending; the first one is the slope judged.

    unmet: why the rows do not test the law, empty where they do. sign: +1 where the law bounds
    growth (stability, training radius), -1 where it bounds a fall.
    """
    filtered = {factor: (slope, verdict_of(slope, sign)) for factor, slope in slopes.items()}
    first = next(iter(slopes))
    slope, verdict = filtered[first]
    found = SlopeVerdict(slope, verdict, filtered)
    if unmet and (not slope.failure or unmet == CAME_TRAINED):
        return found._replace(verdict=unmet)
    if found.flips:
        return found._replace(verdict=_flipped(filtered))
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


def _decided(verdict: str) -> bool:
    return not verdict.startswith(CANNOT_TELL)


def _flipped(filtered: dict[int, tuple[Slope, str]]) -> str:
    """Say which filters lead to which verdict."""
    by_verdict: dict[str, list[int]] = {}
    for factor, (_, verdict) in filtered.items():
        if _decided(verdict):
            by_verdict.setdefault(verdict, []).append(factor)
    phrases = [
        f"{verdict} from {' and '.join(f'{factor}×' for factor in factors)} the onset's p on"
        for verdict, factors in by_verdict.items()
    ]
    return f"{CANNOT_TELL}: the verdict hangs on the filter: " + ", ".join(phrases)
