"""The forest of slopes beside the answer: one row for each judged kind, and one for each frontier
with an exponent of p."""

from collections import defaultdict
from collections.abc import Sequence

from reports.answer import data_name, place_of
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
    labels = short_labels([fit.kind for fit in plain], [fit.family for fit in plain])

    rows = []
    for fit in best:
        name = data_name(str(fit.problem).split(", ")[0]).name
        rows.append(ForestRow(name, "best", fit.size.slope, fit.size.low, fit.size.high))
    for fit in sorted(plain, key=lambda fit: place_of(fit.family)):
        label = labels[fit.kind]
        slope = fit.stability
        marks = _recipes(evidence, fit)
        rows.append(ForestRow(label, "plain", slope.slope, slope.low, slope.high, marks))
    return forest(rows)


def short_labels(kinds: Sequence[str], families: Sequence[str]) -> dict[str, str]:
    """Return a label for each kind: the name of its data, and as few of the kind's own words as
    tell it from the other kinds of the data."""
    of_data: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for kind, family in zip(kinds, families, strict=True):
        of_data[data_name(family).name][kind] = kind.removeprefix(family).strip(", ").split(", ")

    labels = {}
    for name, words in of_data.items():
        common = set.intersection(*map(set, words.values()))
        own = {kind: [w for w in said if w not in common] for kind, said in words.items()}
        first = {kind: said[:1] for kind, said in own.items()}
        enough = len({tuple(said) for said in first.values()}) == len(first)
        for kind, said in (first if enough else own).items():
            labels[kind] = ", ".join([name, *said])
    return labels


def _recipes(evidence: Evidence, fit: KindFit) -> tuple[tuple[str, float], ...]:
    """Return the slope of each recipe, where the kind has several."""
    slopes = recipe_slopes(fit_rows(evidence.trials, fit.kind), STABILITY)
    if len(slopes) < 2:
        return ()
    return tuple((recipe or "no recipe named", s.slope) for recipe, s in slopes.items())
