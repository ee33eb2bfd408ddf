"""The forest of slopes beside the answer: a row for each judged kind and for each frontier that is
decided, and a drawing for each quantity."""

from collections.abc import Sequence

from reports.charts.chart import Chart, Drawing
from reports.charts.forest import ForestRow, forest_drawing
from reports.data_names import data_name
from reports.evidence import Evidence, fit_rows
from reports.fits.slope import Slope
from reports.frontier_answer import FrontierFit
from reports.law import OF_FIT, Fits
from reports.measures import RADIUS, STABILITY
from reports.recipes import recipe_slopes
from reports.sections.answer_choices import judged_kinds, kind_choices
from reports.sections.quantities import MAIN, Measured
from reports.verdicts import CANNOT_TELL


def slopes_chart(evidence: Evidence, fits: Fits, quantities: Sequence[Measured]) -> Chart | None:
    """Return the forest, the best fits found first; None without a slope. quantities: of
    `quantities.measured`."""
    names = [data_name(str(fit.problem).split(", ")[0]).name for fit in fits.frontier]
    best = []
    for fit, name in zip(fits.frontier, names, strict=True):
        best += _best(fit, name if names.count(name) == 1 else str(fit.problem))
    drawings = [_drawing(evidence, fits, own, best) for own in quantities]
    if not drawings and best:
        drawings = [forest_drawing(best, MAIN.order, _title(MAIN.value, best), MAIN.value)]
    if not drawings:
        return None
    switch = "slope" if len(drawings) > 1 else ""
    return Chart("Slopes against size", tuple(drawings), switch)


def _drawing(evidence: Evidence, fits: Fits, own: Measured, best: list[ForestRow]) -> Drawing:
    quantity = own.quantity
    choices = kind_choices(fits)
    # The best fits found are training radii, which the law bounds by the same order.
    rows = list(best) if quantity == MAIN or quantity.column == RADIUS else []
    for fit in judged_kinds(fits):
        if slope := own.slopes.get(fit.kind):
            marks = _recipes(evidence, fit.kind) if quantity == MAIN else ()
            rows.append(_plain(choices[fit.kind].label, slope, marks))
    title = _title(quantity.value, rows)
    return forest_drawing(rows, quantity.order, title, quantity.value, quantity.label)


def _title(value: str, rows: list[ForestRow]) -> str:
    if any(row.label.endswith("1/d") for row in rows):
        return "exponent b of p, or of 1/d"
    return "exponent b in robustness ~ p^b" if value == MAIN.value else "exponent b of p"


def _plain(label: str, slope: Slope, marks: tuple[tuple[str, float], ...]) -> ForestRow:
    return ForestRow(label, "plain", slope.slope, slope.low, slope.high, marks)


def _best(fit: FrontierFit, name: str) -> list[ForestRow]:
    """Return the rows of a decided frontier under a name: its exponent of p where one is stated,
    and that of 1/d, for which the law has the same order."""
    if fit.verdict.startswith(CANNOT_TELL):
        return []
    rows = []
    if not fit.size.failure:
        rows.append(ForestRow(name, "best", fit.size.slope, fit.size.low, fit.size.high))
    if not fit.dimension.failure:
        of_d = fit.dimension
        rows.append(ForestRow(f"{name}, 1/d", "best", -of_d.slope, -of_d.high, -of_d.low))
    return rows


def _recipes(evidence: Evidence, kind: str) -> tuple[tuple[str, float], ...]:
    """Return the slope of each recipe, where the kind has several."""
    trials = evidence.trials[[*OF_FIT, STABILITY, "config_json"]]
    slopes = recipe_slopes(fit_rows(trials, kind), STABILITY)
    if len(slopes) < 2:
        return ()
    return tuple((recipe or "no recipe named", s.slope) for recipe, s in slopes.items())
