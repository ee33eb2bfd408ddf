"""The sections on accuracy, on sensitivity, and on parameters per token: one chart for each
measure, against size."""

import re
from collections.abc import Mapping

from reports.charts.axes import (
    ACCURACY,
    P_OVER_TOKENS,
    PARAMETERS,
    STABILITY_AXIS,
    Axis,
)
from reports.charts.chart import DOTTED, Chart, Line
from reports.charts.scatter import scatter, with_line, with_published
from reports.charts.style import QUIET
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import (
    FLIP_RADIUS,
    L2_RADIUS,
    LINF_RADIUS,
    SEVERITY,
    SMALLER_RADII,
    STABILITY,
)
from reports.published.tables import madry2018
from reports.sections.section import Section, fill


def accuracy(evidence: Evidence, fits: Fits) -> Section | None:
    """Return the section on accuracy, clean and attacked."""
    if evidence.trials.empty:
        return None
    under_l2 = Axis(
        "robust_l2",
        f"accuracy under ℓ2 changes ≤ {L2_RADIUS:g} (upper estimate)",
        log=False,
        share=True,
    )
    calibration = Axis("ece", "expected calibration error", log=False)
    charts = {
        "accuracy": scatter(evidence, evidence.trials, PARAMETERS, ACCURACY, switch="measure"),
        "robust_linf": _robust_linf(evidence),
        "robust_l2": scatter(evidence, evidence.trials, PARAMETERS, under_l2),
        "corruption": _corruption(evidence),
        "ece": scatter(evidence, evidence.trials, PARAMETERS, calibration),
    }
    return _section("accuracy", "Accuracy and loss", charts)


def sensitivity(evidence: Evidence, fits: Fits) -> Section | None:
    """Return the section on noise, and on certified distances beside those found."""
    if evidence.trials.empty:
        return None
    flipped = Axis(
        "flip_rate",
        f"labels flipped by noise of {FLIP_RADIUS:g} data units",
        log=False,
        noun=f"the share of labels flipped by noise of {FLIP_RADIUS:g} data units",
        share=True,
    )
    charts = {
        "sensitivity": scatter(evidence, evidence.trials, PARAMETERS, flipped),
        "certified": _certified(evidence),
    }
    return _section("sensitivity", "Sensitivity", charts)


def per_token(evidence: Evidence, fits: Fits) -> Section | None:
    """Return the section on stability against parameters per distinct token."""
    if evidence.trials.empty:
        return None
    charts = {"per_token": scatter(evidence, evidence.trials, P_OVER_TOKENS, STABILITY_AXIS)}
    return _section("per_token", "Parameters to tokens", charts)


def _section(key: str, title: str, charts: Mapping[str, Chart | None]) -> Section | None:
    """Return the section of these charts, None where none of them has a trial."""
    figures = {name: chart for name, chart in charts.items() if chart is not None}
    if not figures:
        return None
    numbers = [number for chart in figures.values() for number in chart.numbers()]
    return Section(key, title, fill(f"{key}.html.j2", figures=figures), numbers, figures)


def _robust_linf(evidence: Evidence) -> Chart | None:
    """Draw accuracy under ℓ∞ attack, one choice for each radius, beside Madry et al.'s figures
    where there are trials of their task."""
    # Models that were not trained against an adversary get nothing right at the largest radius.
    columns = {radius: f"robust_linf_{radius:g}" for radius in sorted(SMALLER_RADII)}
    columns |= {LINF_RADIUS: "robust_linf"}
    axes = [
        Axis(
            column,
            f"accuracy under ℓ∞ changes ≤ {radius:g} (upper estimate)",
            log=False,
            label=f"{radius:g}",
            value=f"{radius:g}",
            share=True,
        )
        for radius, column in columns.items()
    ]
    chart = scatter(evidence, evidence.trials, PARAMETERS, axes, switch="radius")

    of_their_task = (
        evidence.trials["task"].eq("mnist")
        & evidence.trials["outputs"].eq(10)
        & evidence.trials["robust_linf"].notna()
    )
    if chart is not None and of_their_task.any():
        return _with_madry2018(chart)
    return chart


def _with_madry2018(chart: Chart) -> Chart:
    points = madry2018()
    texts = []
    for point in points:
        approximate = ", approximate" if point.approximate else ""
        texts.append(f"{point.source}: capacity {point.capacity}, {point.attack}{approximate}")
    return with_published(
        chart,
        [float(point.parameters) for point in points],
        [point.accuracy for point in points],
        texts,
        "published: Madry et al.'s CNNs, trained against PGD",
        f"{LINF_RADIUS:g}",
    )


def _certified(evidence: Evidence) -> Chart | None:
    """Draw the certified mean distance against the distance found; the truth lies between them."""
    y = Axis(
        "stability_certified_mean",
        "certified distance, data units (lower bound)",
        noun="the certified distance",
    )
    chart = scatter(evidence, evidence.trials, STABILITY_AXIS, y)
    if chart is None:
        return None
    drawn = evidence.trials.loc[evidence.trials[y.column].gt(0), STABILITY]
    ends = (float(drawn.min()), float(drawn.max()))
    label = "certified = found: no mark can lie above"
    return with_line(chart, Line(ends, ends, QUIET, DOTTED, label=label))


def _in_address(kind: str) -> str:
    """Return a kind of corruption as it stands in the page's address and in names of files."""
    return re.sub(r"\W+", "-", kind)


def _corruption(evidence: Evidence) -> Chart | None:
    """Draw accuracy under each corruption, one choice for each corruption."""
    axes = []
    for column in evidence.trials.columns:
        if not str(column).startswith("corruption_"):
            continue
        kind = column.removeprefix("corruption_")
        title = f"accuracy under {kind}, severity {SEVERITY} of 5"
        axes.append(
            Axis(str(column), title, log=False, label=kind, value=_in_address(kind), share=True)
        )
    if not axes:
        return None
    return scatter(evidence, evidence.trials, PARAMETERS, axes, switch="corruption")
