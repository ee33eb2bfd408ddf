"""Describe a chart in which every mark is one trial, with fitted lines, a guide and published
figures.

Filled marks: the trial meets the law's noise condition for what the chart shows (isoperimetry is
proved on the sphere and assumed elsewhere). Hollow marks: it does not; hovering says why. Solid
lines: fitted slopes over the cells that entered the fit, dashed beyond. Grey and dashed: the shape
of the law's bound, at a chosen height.

    scatter(evidence, evidence.drawn_by_law, P_OVER_ND, STABILITY_AXIS, switch="d")
"""

import numpy as np
import pandas as pd

from reports.charts import captions
from reports.charts.axes import Axis, drawable
from reports.charts.chart import DASHED, Chart, Drawing, Line, Marks
from reports.charts.fitted import fitted_lines
from reports.charts.style import PUBLISHED, QUIET, kind_styles
from reports.charts.thinned import MIDDLE, MOST_MARKS, PER_DECADE, binned
from reports.evidence import Evidence
from reports.fits.slope import Slope

POINT = ("trial_id", "kind", "curve", "p", "in_fit")
"""The columns that a chart takes of each trial, beside its axes."""
GUIDE = "law's shape, height chosen"


def scatter(
    evidence: Evidence,
    trials: pd.DataFrame,
    x: Axis | list[Axis],
    y: Axis | list[Axis],
    fills: str = "tests_stability",
    fitted: dict[str, Slope] | None = None,
    guide: float | None = None,
    switch: str = "",
) -> Chart | None:
    """Draw one mark per trial, filled where the column `fills` is true, with one colour and shape
    per kind. Return None when there is no trial to draw.

    x or y: one axis, or several to choose from, which differ in `switch`. fitted: the slope of each
    kind against p, drawn as a line through each of its curves. guide: the slope of the law's shape.
    """
    choices = [(i, j) for i in _several(x) for j in _several(y)]
    choices = [(i, j) for i, j in choices if drawable(trials, i, j).any()]
    if not choices:
        return None
    on_axes = (axis.column for choice in choices for axis in choice)
    columns = list(dict.fromkeys([*POINT, fills, *on_axes]))
    shown = trials[columns]

    styles = kind_styles(evidence.drawn_by_law)
    drawings = tuple(_drawing(shown, i, j, styles, fills, fitted or {}, guide) for i, j in choices)
    first_x, first_y = choices[0]
    title = f"{first_y.title} against {first_x.title}"
    return Chart(title, drawings, switch if len(drawings) > 1 else "")


def _several(axis: Axis | list[Axis]) -> list[Axis]:
    return axis if isinstance(axis, list) else [axis]


def _drawing(
    shown: pd.DataFrame,
    x: Axis,
    y: Axis,
    styles: dict[str, tuple[str, str]],
    fills: str,
    fitted: dict[str, Slope],
    guide: float | None,
) -> Drawing:
    """Return the drawing on one pair of axes."""
    rows = shown[drawable(shown, x, y)]
    many = len(rows) > MOST_MARKS
    marks: list[Marks] = []
    lines: list[Line] = []
    bands = []
    for kind, (colour, shape) in styles.items():
        own = rows[rows["kind"].eq(kind)]
        for filled in (True, False):
            part = own[own[fills].eq(filled)]
            if len(part):
                one = Marks(kind, (), (), colour, shape, filled)
                marks.append(_medians(one, part, x, y) if many else _trials(one, part, x, y))
        slope = fitted.get(kind)
        if slope and not slope.failure:
            of_kind = fitted_lines(own, x.column, y.column, slope, colour)
            lines += of_kind.lines
            bands += of_kind.bands
    if guide is not None:
        lines.append(_guide(rows, x, y, guide))

    caption = captions.of_slopes(y.named(), y.column, fitted)
    return Drawing(
        x.scale(),
        y.scale(),
        tuple(marks),
        tuple(lines),
        tuple(bands),
        value=y.value or x.value or "only",
        label=y.label or x.label,
        caption=caption or captions.of_rows(rows, x, y),
        made_of=_made_of(len(rows), marks),
    )


def _trials(look: Marks, rows: pd.DataFrame, x: Axis, y: Axis) -> Marks:
    return look._replace(
        x=tuple(rows[x.column].astype(float)),
        y=tuple(rows[y.column].astype(float)),
        trials=tuple(rows["trial_id"]),
    )


def _medians(look: Marks, rows: pd.DataFrame, x: Axis, y: Axis) -> Marks:
    bins = binned(rows[x.column], rows[y.column])
    texts = tuple(f"{look.name}: median of {count:,} trials" for count in bins.trials)
    return look._replace(x=bins.x, y=bins.y, low=bins.low, high=bins.high, texts=texts)


def _made_of(trials: int, marks: list[Marks]) -> str:
    """Return what the marks are, and what hollow ones mean where there are any."""
    drawn = sum(len(own.x) for own in marks)
    hollow = any(not own.filled for own in marks)
    told = " Hollow marks do not meet the law's conditions." if hollow else ""
    if drawn == trials:
        return f"{trials:,} trials, one mark each.{told}"
    middle = 100 * (MIDDLE[1] - MIDDLE[0])
    return (
        f"{trials:,} trials, too many to draw one by one: {drawn:,} marks, each the median of the"
        f" trials of a kind within 1/{PER_DECADE} of a decade; bars hold the middle {middle:.0f} %."
        + told
    )


def _guide(rows: pd.DataFrame, x: Axis, y: Axis, slope: float) -> Line:
    """Return a line of this slope through the median mark, cut where the line leaves the range of
    the data."""
    log_x = np.log(rows[x.column].to_numpy(float))
    log_y = np.log(rows[y.column].to_numpy(float))
    middle_x = float(np.median(log_x))
    middle_y = float(np.median(log_y))

    edges_of_y = (float(log_y.min()), float(log_y.max()))
    x_at_edges = sorted(middle_x + (edge - middle_y) / slope for edge in edges_of_y)
    left = max(x_at_edges[0], float(log_x.min()))
    right = min(x_at_edges[1], float(log_x.max()))
    if right - left < 0.1:  # a single point
        left = middle_x - 0.5
        right = middle_x + 0.5

    ends = np.array([left, right])
    heights = np.exp(middle_y + slope * (ends - middle_x))
    return Line(tuple(np.exp(ends)), tuple(heights), QUIET, DASHED, name=GUIDE)


def with_line(chart: Chart, line: Line) -> Chart:
    """Return the chart with a line in its first drawing."""
    first, *others = chart.drawings
    return chart._replace(drawings=(first._replace(lines=(*first.lines, line)), *others))


def with_published(
    chart: Chart, x: list[float], y: list[float], texts: list[str], name: str, value: str
) -> Chart:
    """Return the chart with published figures in the drawing of this value alone, as hollow stars:
    they are not trials of this store. texts: one a mark."""
    marks = Marks(
        name, tuple(x), tuple(y), QUIET, PUBLISHED, filled=False, size=8, texts=tuple(texts)
    )
    drawings = (
        drawing._replace(marks=(*drawing.marks, marks)) if drawing.value == value else drawing
        for drawing in chart.drawings
    )
    return chart._replace(drawings=tuple(drawings))
