"""Make every fit of the report once: the slopes of the measures, the law's verdict on each kind,
and the collapse on p/(n·d).

The law (Bubeck & Sellke 2021, Theorem 3) is a one-sided bound with vacuous constants: below the
noise, Lip ≥ const·sqrt(n·d/p), and for classes S ≤ const·sqrt(p/(n·d)). A bound implies no slope.
So a kind can be *compatible* with the law's order without attaining it, and nothing here is called
a floor.
"""

import json
from typing import NamedTuple

import pandas as pd

from reports.evidence import NOT_TRAINED, fit_rows
from reports.fits.slope import Collapse, Slope, fit_collapse, fit_slope
from reports.measures import LOWER, MEASURES, STABILITY

ORDER = 0.5
NARROW = 0.15
"""Half-width below which an interval that contains ±1/2 counts as attaining the law's order."""
CAME_TRAINED = "trained elsewhere, outside the law's condition: no fit, no verdict"


class KindFit(NamedTuple):
    """One kind's fits. `lipschitz` is None for classes, where the scale of logits means nothing.

    `family`: the family of its rows. `noisy`: its labels carry injected noise. `judged`: the rows
    of the stability fit meet the condition of the law's stability form, so the slope gets a
    verdict.
    """

    kind: str
    family: str
    noisy: bool
    judged: bool
    stability: Slope
    lipschitz: Slope | None
    verdict: str
    lipschitz_verdict: str


class KindCollapse(NamedTuple):
    """The collapse of one kind at one setting of everything but n, d and size."""

    kind: str
    settings: str
    collapse: Collapse


class Fits(NamedTuple):
    """All fits. `slopes`: (kind, column of a measure) → the measure's slope against p, for every
    measure that the kind's target allows, failed fits included."""

    kinds: list[KindFit]
    slopes: dict[tuple[str, str], Slope]
    collapses: list[KindCollapse]

    def slopes_of(self, column: str) -> dict[str, Slope]:
        """Return the slopes of one measure by kind."""
        return {kind: slope for (kind, measure), slope in self.slopes.items() if measure == column}


def fit_all(trials: pd.DataFrame) -> Fits:
    """Fit the evidence's trials."""
    slopes = fit_slopes(trials)
    return Fits(fit_kinds(trials, slopes), slopes, fit_collapses(trials))


def fit_slopes(trials: pd.DataFrame) -> dict[tuple[str, str], Slope]:
    """Fit the slope of every measure against p, by kind in alphabetical order and measure in the
    order of MEASURES."""
    slopes = {}
    for kind in sorted(trials["kind"].unique()):
        rows = fit_rows(trials, kind)
        scalar = bool(trials.loc[trials["kind"].eq(kind), "outputs"].eq(1).all())
        targets = ("all", "±1" if scalar else "classes")
        for measure in MEASURES:
            if measure.targets in targets:
                slopes[kind, measure.column] = fit_slope(rows, measure.column)
    return slopes


def fit_kinds(trials: pd.DataFrame, slopes: dict[tuple[str, str], Slope]) -> list[KindFit]:
    """Return the verdicts of every kind that has ok rows, in alphabetical order."""
    kinds = sorted(trials["kind"].unique())
    return [_fit_kind(trials, kind, slopes) for kind in kinds]


def _fit_kind(trials: pd.DataFrame, kind: str, slopes: dict[tuple[str, str], Slope]) -> KindFit:
    rows = fit_rows(trials, kind)
    every = trials[trials["kind"].eq(kind)]
    noisy = bool(every["epsilon"].gt(0).all())

    stability = slopes[kind, STABILITY]
    unmet = _unmet(
        rows,
        noisy,
        "tests_stability",
        "the 0-1 training error is not below half the Bayes error in every fitted trial",
    )
    verdict = verdict_of(stability, unmet, +1)
    if every["stop_reason"].eq(NOT_TRAINED).all():
        verdict = CAME_TRAINED

    lipschitz = slopes.get((kind, LOWER))
    lipschitz_verdict = "not drawn for classes: the scale of logits means nothing"
    if lipschitz:
        lipschitz_unmet = _unmet(
            rows,
            noisy,
            "tests_lipschitz",
            "the squared error is not below the noise in every fitted trial",
        )
        lipschitz_verdict = verdict_of(lipschitz, lipschitz_unmet, -1)

    return KindFit(
        kind,
        family=str(every["family"].iloc[0]),
        noisy=noisy,
        judged=not unmet and not stability.failure,
        stability=stability,
        lipschitz=lipschitz,
        verdict=verdict,
        lipschitz_verdict=lipschitz_verdict,
    )


def _unmet(rows: pd.DataFrame, noisy: bool, column: str, why: str) -> str:
    """Return why the fitted rows do not test the law, or nothing when they do."""
    if not noisy:
        return "no injected noise: outside the law's condition, no verdict"
    if rows["stop_rule"].eq("epochs").any():
        return "stopped after fixed epochs, not at the noise level: no verdict"
    return "" if rows[column].all() else f"no verdict: {why}"


def verdict_of(slope: Slope, unmet: str, sign: int) -> str:
    """Return the verdict that a slope allows, or `unmet`, the reason why there is none.

    sign: +1 where the law bounds growth (stability), -1 where it bounds a fall.
    """
    if slope.failure:
        return f"cannot tell: {slope.failure}"
    if unmet:
        return unmet
    low, high = sorted((sign * slope.low, sign * slope.high))
    if high < ORDER:
        return "compatible, order not attained"
    if low > ORDER:
        return "steeper than the law allows in the long run"
    if high - low < 2 * NARROW:
        return "attains the law's order"
    return "cannot tell: the interval is too wide"


def fit_collapses(trials: pd.DataFrame) -> list[KindCollapse]:
    """Fit the collapse for every kind and setting below the noise in which n varies."""
    collapses = []
    for kind in sorted(trials["kind"].unique()):
        rows = fit_rows(trials, kind)
        rows = rows[rows["tests_stability"]]
        for settings, group in rows.groupby(rows["settings_json"].map(without_n_and_d)):
            if group["n"].nunique() > 1:
                collapses.append(KindCollapse(kind, str(settings), fit_collapse(group, STABILITY)))
    return collapses


def without_n_and_d(settings_json: str) -> str:
    """Return the settings without n and d, the two that the collapse is about, as JSON."""
    settings = json.loads(settings_json)
    return json.dumps({k: v for k, v in settings.items() if k not in ("n", "d")}, sort_keys=True)
