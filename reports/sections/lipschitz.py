"""The section "Lipschitz constants": lower estimates, means and upper bounds, each in its own
chart."""

from typing import Any

import pandas as pd

from reports.charts.axes import P_OVER_ND, Axis
from reports.charts.chart import Chart
from reports.charts.scatter import scatter
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import LOWER, LOWER_CLASSES, MEAN, MEAN_CLASSES, UPPER, UPPER_CLASSES
from reports.sections.section import Section, fill
from reports.verdicts import ORDER


def section(evidence: Evidence, fits: Fits) -> Section | None:
    figures = {key: chart for key, chart in _charts(evidence, fits).items() if chart is not None}
    if not figures:
        return None
    html = fill(
        "lipschitz.html.j2", gradient_kinds=_kinds_without_pairs(evidence.trials), figures=figures
    )
    title = "Lipschitz constants: three quantities that never share an axis"
    numbers = [number for chart in figures.values() for number in chart.numbers()]
    return Section("lipschitz", title, html, numbers, figures)


def _charts(evidence: Evidence, fits: Fits) -> dict[str, Chart | None]:
    """Return the charts by key, None for a chart without a trial."""
    scalar = evidence.trials[evidence.trials["outputs"].eq(1)]
    classes = evidence.trials[evidence.trials["outputs"].gt(1)]

    def draw_scalar(column: str, title: str, **lines: Any) -> Chart | None:
        return scatter(
            evidence,
            scalar,
            P_OVER_ND,
            Axis(column, title, noun=f"the {title}"),
            "tests_lipschitz",
            switch="d",
            **lines,
        )

    def draw_classes(column: str, title: str, **lines: Any) -> Chart | None:
        return scatter(
            evidence,
            classes,
            P_OVER_ND,
            Axis(column, title, noun=f"the {title}"),
            switch="d",
            **lines,
        )

    return {
        "lipschitz": draw_scalar(
            LOWER,
            "Lipschitz constant (lower estimate)",
            fitted=fits.slopes_of(LOWER),
            guide=-ORDER,
        ),
        "lip_lower_classes": draw_classes(
            LOWER_CLASSES,
            "Lipschitz / mean margin (lower estimate)",
            fitted=fits.slopes_of(LOWER_CLASSES),
        ),
        "lip_mean": draw_scalar(MEAN, "mean Jacobian norm"),
        "lip_mean_classes": draw_classes(MEAN_CLASSES, "mean Jacobian norm / mean margin"),
        "lip_upper": draw_scalar(UPPER, "Lipschitz constant (upper bound)"),
        "lip_upper_classes": draw_classes(UPPER_CLASSES, "Lipschitz / mean margin (upper bound)"),
    }


def _kinds_without_pairs(trials: pd.DataFrame) -> list[str]:
    """Return the ±1 kinds whose rows lack the steepest pair, so the largest gradient norm is drawn
    instead."""
    by_gradient = trials["lip_lower_from"].eq("lip_lower_grad") & trials["outputs"].eq(1)
    return sorted(trials.loc[by_gradient, "kind"].unique())
