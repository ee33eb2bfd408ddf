"""Name what the stability slope of one kind says, and the sentence for it.

CLAUSES[outcome_of(fit)]
"""

from reports.law import KindFit
from reports.measures import STABILITY
from reports.verdicts import ATTAINS, ORDER, STEEPER

ORDER_KEPT, SLOWER, NO_GROWTH, FALLS, TOO_STEEP = "order", "slower", "none", "falls", "steep"
WIDE, BY_FILTER, TOO_FEW, NOT_JUDGED = "wide", "filter", "few", "not judged"
CLAUSES = {
    ORDER_KEPT: (
        "Ten times the parameters make {thing} {growth} more robust, as fast as the ceiling rises."
    ),
    SLOWER: (
        "Ten times the parameters make {thing} {growth} more robust, less than the ceiling rises."
    ),
    NO_GROWTH: (
        "No clear effect of size: ten times the parameters change the robustness of {thing} by"
        " {growth}."
    ),
    FALLS: (
        "Larger is less robust: ten times the parameters change the robustness of {thing} by"
        " {growth}."
    ),
    TOO_STEEP: (
        "Ten times the parameters make {thing} {growth} more robust. That is faster than the law"
        " allows in the long run, so it cannot go on for ever."
    ),
    WIDE: (
        "Cannot tell: the interval is too wide. Ten times the parameters change the robustness of"
        " {thing} by {growth}."
    ),
    BY_FILTER: (
        "Cannot tell: the answer depends on which sizes enter. From all of them, ten times the"
        " parameters change the robustness of {thing} by {growth}; from the larger ones alone,"
        " the verdict is another."
    ),
}
"""Outcome of a judged slope → its sentence. {growth} brings its interval along."""


def outcome_of(fit: KindFit) -> str:
    """Return what a kind's stability slope says, as a key of CLAUSES or TOO_FEW or NOT_JUDGED."""
    if fit.stability.failure:
        return TOO_FEW if fit.noisy else NOT_JUDGED
    if not fit.judged:
        return NOT_JUDGED
    found = fit.verdicts[STABILITY]
    if found.flips:
        return BY_FILTER

    slope = found.slope
    if found.verdict == ATTAINS:
        return ORDER_KEPT
    if found.verdict == STEEPER:
        return TOO_STEEP
    if slope.high >= ORDER:
        return WIDE
    if slope.low > 0:
        return SLOWER
    return FALLS if slope.high < 0 else NO_GROWTH
