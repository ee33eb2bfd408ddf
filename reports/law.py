"""Make every fit of the report once: the slopes of the measures, the law's verdict on each kind,
and the collapse on p/(n·d).

The law (Bubeck & Sellke 2021, Theorem 3) is a one-sided bound with vacuous constants: below the
noise, Lip ≥ const·sqrt(n·d/p), and for classes S ≤ const·sqrt(p/(n·d)). A bound implies no slope.
So a kind can be *compatible* with the law's order without attaining it, and nothing here is called
a floor.
"""

import json
from typing import Any, NamedTuple

import pandas as pd

from reports.evidence import Evidence, fit_rows
from reports.fits.collapse import TESTS, Collapse, fit_collapse
from reports.fits.forms import Forms, fit_forms
from reports.fits.slope import Slope, fit_together
from reports.frontier import radii
from reports.frontier_answer import FrontierFit, fit_frontier
from reports.kinds import NOT_TRAINED
from reports.measures import LOWER, MEASURES, RADIUS, STABILITY
from reports.token_ratio import TokenRatio, token_ratios
from reports.verdicts import CAME_TRAINED, STOPPED_AT_NOISE, SlopeVerdict, judge

FILTERS = (1, 2, 4, 8)
"""Fits are made of the cells past the onset of their curve, from these multiples of its p on. The
first gives the figures stated, the others show whether a verdict hangs on that choice."""
OF_FIT = (
    "trial_id",
    "kind",
    "curve",
    "cell",
    "p",
    "n",
    "d_ambient",
    "outputs",
    "stop_rule",
    "whole",
    "onset",
    "in_fit",
)
"""The columns that the fit of a slope reads beside its measure."""
GROWS = {STABILITY: +1, LOWER: -1, RADIUS: +1}
"""Measure that a law holds for → +1 where the law bounds its growth, -1 where it bounds a fall."""
OF_CLASSES = "not drawn for classes: the scale of logits means nothing"
NO_NOISE = "no injected noise: outside the law's condition, no verdict"


class KindFit(NamedTuple):
    """One kind's fits.

    `family`: the family of its rows. `noisy`: its labels carry injected noise. `judged`: the rows
    of the stability fit meet the condition of the law's stability form, so the slope gets a
    verdict. `verdicts`: column → slope and verdict, for the measures that a law holds for and that
    the rows have: stability always, the Lipschitz lower estimate of ±1 targets (the scale of
    logits means nothing), the training radius. `forms`: how a bent curve describes stability beside
    the power law.
    """

    kind: str
    family: str
    noisy: bool
    judged: bool
    verdicts: dict[str, SlopeVerdict]
    forms: Forms

    @property
    def stability(self) -> Slope:
        return self.verdicts[STABILITY].slope

    @property
    def verdict(self) -> str:
        """Return the verdict on stability."""
        return self.verdicts[STABILITY].verdict

    @property
    def lipschitz(self) -> Slope | None:
        return self.verdicts[LOWER].slope if LOWER in self.verdicts else None

    @property
    def lipschitz_verdict(self) -> str:
        return self.verdicts[LOWER].verdict if LOWER in self.verdicts else OF_CLASSES


class KindCollapse(NamedTuple):
    """The collapse of one kind at one setting of everything but n, d and size."""

    kind: str
    settings: str
    collapse: Collapse


class Fits(NamedTuple):
    """All fits. `filtered`: (filter, kind, column of a measure) → the measure's slope against p,
    for every measure that the kind's target allows, failed fits included. `frontier`: the searches
    for the most robust fit, one entry a problem. `ratios`: what the measures of each ladder
    follow."""

    kinds: list[KindFit]
    filtered: dict[tuple[int, str, str], Slope]
    collapses: list[KindCollapse]
    frontier: list[FrontierFit] = []
    ratios: list[TokenRatio] = []

    @property
    def slopes(self) -> dict[tuple[str, str], Slope]:
        """Return the slopes by kind and measure, of all cells past the onset."""
        return {
            (kind, column): slope
            for (factor, kind, column), slope in self.filtered.items()
            if factor == FILTERS[0]
        }

    def slopes_of(self, column: str) -> dict[str, Slope]:
        """Return the slopes of one measure by kind."""
        return self.filtered_slopes(FILTERS[0], column)

    def filtered_slopes(self, factor: int, column: str) -> dict[str, Slope]:
        """Return the slopes of one measure by kind, of the cells from `factor` times the onset's p
        on."""
        return {
            kind: slope
            for (used, kind, measure), slope in self.filtered.items()
            if used == factor and measure == column
        }


def fit_evidence(evidence: Evidence) -> Fits:
    """Fit plain training, the searches for the most robust fit, and the ladders."""
    return fit_all(evidence.trials)._replace(
        frontier=fit_frontier(radii(evidence)), ratios=token_ratios(evidence.trials)
    )


def fit_all(trials: pd.DataFrame) -> Fits:
    """Fit the trials of plain training."""
    filtered = fit_slopes(trials)
    return Fits(fit_kinds(trials, filtered), filtered, fit_collapses(trials))


def fit_slopes(trials: pd.DataFrame) -> dict[tuple[int, str, str], Slope]:
    """Fit the slope of every measure against p, by filter, measure in the order of MEASURES, and
    kind in alphabetical order.

    A kind with few curves takes the spread of slopes that all kinds of one filter share.
    """
    measured = [measure for measure in MEASURES if measure.column in trials]
    # of 200 columns, which every filter would copy; Arrow's texts are slow to group by
    trials = trials[[*OF_FIT, *(measure.column for measure in measured)]]
    trials = trials.astype({"cell": object, "curve": object})
    kinds = {str(kind): own for kind, own in trials.groupby("kind")}
    scalar = {kind: bool(own["outputs"].eq(1).all()) for kind, own in kinds.items()}
    slopes = {}
    for factor in FILTERS:
        fitted = {kind: fit_rows(own, kind, factor) for kind, own in kinds.items()}
        for measure in measured:
            entering = {
                kind: rows[rows["stop_rule"].ne("noise")] if measure.trained_on else rows
                for kind, rows in fitted.items()
                if measure.targets in ("all", "±1" if scalar[kind] else "classes")
            }
            for kind, slope in fit_together(entering, measure.column).items():
                slopes[factor, kind, measure.column] = slope
    return slopes


def fit_kinds(trials: pd.DataFrame, filtered: dict[tuple[int, str, str], Slope]) -> list[KindFit]:
    """Return the verdicts of every kind that has ok rows, in alphabetical order."""
    kinds = sorted(trials["kind"].unique())
    return [_fit_kind(trials[trials["kind"].eq(kind)], kind, filtered) for kind in kinds]


def _fit_kind(
    trials: pd.DataFrame, kind: str, filtered: dict[tuple[int, str, str], Slope]
) -> KindFit:
    """Return the fits of one kind. trials: its rows."""
    rows = fit_rows(trials, kind)
    noisy = bool(trials["epsilon"].gt(0).all())

    unmet = {
        STABILITY: _unmet(
            rows,
            noisy,
            "tests_stability",
            "the 0-1 training error is not below half the Bayes error in every fitted trial",
        ),
        LOWER: _unmet(
            rows,
            noisy,
            "tests_lipschitz",
            "the squared error is not below the noise in every fitted trial",
        ),
        RADIUS: _unmet_by_radius(rows, noisy),
    }
    if RADIUS not in trials or trials[RADIUS].isna().all():
        del unmet[RADIUS]
    if trials["stop_reason"].eq(NOT_TRAINED).all():
        unmet = dict.fromkeys(unmet, CAME_TRAINED)

    verdicts = {}
    for column, why in unmet.items():
        if (FILTERS[0], kind, column) in filtered:
            slopes = {factor: filtered[factor, kind, column] for factor in FILTERS}
            verdicts[column] = judge(slopes, why, GROWS[column])

    judged = not unmet[STABILITY] and not verdicts[STABILITY].slope.failure
    forms = fit_forms(rows, STABILITY)
    return KindFit(kind, str(trials["family"].iloc[0]), noisy, judged, verdicts, forms)


def _unmet(rows: pd.DataFrame, noisy: bool, column: str, why: str) -> str:
    """Return why the fitted rows do not test the law, or nothing when they do."""
    if not noisy:
        return NO_NOISE
    if rows["stop_rule"].eq("epochs").any():
        return "stopped after fixed epochs, not at the noise level: no verdict"
    return "" if rows[column].all() else f"no verdict: {why}"


def _unmet_by_radius(rows: pd.DataFrame, noisy: bool) -> str:
    """Return why the training radius of the fitted rows says nothing about the law."""
    if not noisy:
        return NO_NOISE
    return STOPPED_AT_NOISE if rows["stop_rule"].eq("noise").any() else ""


def fit_collapses(trials: pd.DataFrame) -> list[KindCollapse]:
    """Fit the collapse for every kind and setting below the noise in which n varies. The intervals
    of all of them hold together."""
    groups = []
    for kind in sorted(trials["kind"].unique()):
        rows = fit_rows(trials, kind)
        rows = rows[rows["tests_stability"]]
        for settings, group in rows.groupby(without_n_and_d(rows)):
            if group["n"].nunique() > 1:
                groups.append((kind, str(settings), group))
    tests = TESTS * len(groups)
    return [
        KindCollapse(kind, settings, fit_collapse(group, STABILITY, tests))
        for kind, settings, group in groups
    ]


def without_n_and_d(rows: pd.DataFrame) -> pd.Series:
    """Return each row's settings without n and d, the two that the collapse is about, as JSON.

    Left out, too, is what d is made of, such as a text's `context` and `d_in` or a picture's
    `pixels`: every setting that moves d where all others stay.
    """
    settings = {text: json.loads(text) for text in rows["settings_json"].unique()}
    d = rows.groupby("settings_json")["d_ambient"].first()
    left_out = {"n", "d"}
    for name in {name for of_one in settings.values() for name in of_one} - left_out:
        others = {text: _without(of_one, {"n", name}) for text, of_one in settings.items()}
        if (d.groupby(others).nunique() > 1).any():
            left_out.add(name)
    return rows["settings_json"].map({text: _without(s, left_out) for text, s in settings.items()})


def _without(settings: dict[str, Any], names: set[str]) -> str:
    return json.dumps({k: v for k, v in settings.items() if k not in names}, sort_keys=True)
