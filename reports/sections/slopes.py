"""The forest of slopes beside the answer: one row for each judged kind, and one for each frontier
with an exponent of p."""

from collections import Counter

from reports.answer import data_name
from reports.charts.chart import Chart
from reports.charts.forest import ForestRow, forest
from reports.evidence import Evidence, fit_rows
from reports.law import Fits, KindFit
from reports.measures import STABILITY
from reports.recipes import recipe_slopes


def slopes_chart(evidence: Evidence, fits: Fits) -> Chart | None:
    """Return the forest, the best fits found first; None without a slope."""
    best = [fit for fit in fits.frontier if not fit.size.failure]
    plain = [fit for fit in fits.kinds if fit.judged]
    names = Counter(data_name(fit.family).name for fit in plain)

    rows = []
    for fit in best:
        name = data_name(str(fit.problem).split(", ")[0]).name
        rows.append(ForestRow(name, "best", fit.size.slope, fit.size.low, fit.size.high))
    for fit in plain:
        name = data_name(fit.family).name
        label = name if names[name] == 1 else f"{name}, {fit.kind.removeprefix(f'{fit.family}, ')}"
        slope = fit.stability
        marks = _recipes(evidence, fit)
        rows.append(ForestRow(label, "plain", slope.slope, slope.low, slope.high, marks))
    return forest(rows)


def _recipes(evidence: Evidence, fit: KindFit) -> tuple[tuple[str, float], ...]:
    """Return the slope of each recipe, where the kind has several."""
    slopes = recipe_slopes(fit_rows(evidence.trials, fit.kind), STABILITY)
    if len(slopes) < 2:
        return ()
    return tuple((recipe or "no recipe named", s.slope) for recipe, s in slopes.items())
