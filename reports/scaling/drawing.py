"""The picture of a table's fit: the curve through its points where there is one size, else what the
fit misses of each point, against N·D."""

from typing import TYPE_CHECKING

import numpy as np

from reports.charts.chart import DASHED, SOLID, Band, Chart, Drawing, Line, Marks, Scale
from reports.charts.style import COLOURS, QUIET
from reports.scaling.fitting import Fit
from reports.scaling.held_out import held_out_rows

if TYPE_CHECKING:
    from reports.scaling.table_fit import TableFit

STEPS = 160
BEYOND = 4.0
"""Factor of the largest size up to which a curve goes on, dashed."""
RIVALS = 2
LOG_FROM = 3.0
"""Ratio of the measure's ends from which its axis is logarithmic."""


def draw(fitted: "TableFit") -> Chart:
    """Return the chart of the fit that is shown first, beside its rivals' curves."""
    inputs = fitted.loaded.points.inputs
    drawing = _curve(fitted) if fitted.fit.form.inputs in (("X",), ("L",)) else _misses(fitted)
    what = " and ".join(fitted.loaded.points.name(role) for role in inputs)
    return Chart(f"{fitted.loaded.points.name('Y')} against {what}", (drawing,))


def _points(fitted: "TableFit", x: np.ndarray, y: np.ndarray) -> tuple[Marks, ...]:
    """Return the points, filled where they are held out to judge the forms."""
    out = held_out_rows(fitted.loaded.points)
    parts = ((~out, "fitted", False), (out, "held out to judge forms", True))
    return tuple(
        Marks(name, tuple(x[which]), tuple(y[which]), COLOURS[0], filled=filled, size=5.5)
        for which, name, filled in parts
        if which.any()
    )


def _curve(fitted: "TableFit") -> Drawing:
    points, fit = fitted.loaded.points, fitted.fit
    (role,) = fit.form.inputs
    size = points.inputs[role]
    log = role == "X"
    low, high = float(size.min()), float(size.max())
    inside = np.geomspace(low, high, STEPS) if log else np.linspace(low, high, STEPS)
    outside = np.geomspace(high, BEYOND * high, STEPS // 4) if log else inside[:0]

    value, lower, upper = fit.predict_interval(**{role: inside})
    lines = [_line(inside, value, COLOURS[1], fit.form.name)]
    if len(outside):
        lines.append(_line(outside, fit.predict(**{role: outside}), COLOURS[1], dash=DASHED))
    for i, (name, rival) in enumerate(_rivals(fitted)):
        lines.append(_line(inside, rival.predict(**{role: inside}), COLOURS[2 + i], name, width=1))
    least, most = float(points.y.min()), float(points.y.max())
    log_y = least > 0 and most > LOG_FROM * least
    bands = ()
    if np.isfinite([lower, upper]).all():
        # A wide interval must not squeeze the points.
        room = (least / 2, 2 * most) if log_y else (2 * least - most, 2 * most - least)
        lower, upper = np.clip(lower, *room), np.clip(upper, *room)
        bands = (Band(tuple(inside), tuple(lower), tuple(upper), COLOURS[1]),)

    return Drawing(
        Scale(points.name(role), log=log),
        Scale(points.name("Y"), log=log_y),
        _points(fitted, size, points.y),
        tuple(lines),
        bands,
        caption=f"{fit.form.name}, {fit.form.formula}, with the 95 % interval of the curve;"
        " dashed beyond the largest size.",
        made_of=f"{len(points.y):,} rows",
    )


def _misses(fitted: "TableFit") -> Drawing:
    points, fit = fitted.loaded.points, fitted.fit
    compute = points.inputs["N"] * points.inputs["D"]
    predicted = fit.predict(**{role: points.inputs[role] for role in fit.form.inputs})
    missed = 100 * (points.y / predicted - 1)
    ends = (float(compute.min()), float(compute.max()))
    name = f"{points.name('N')} · {points.name('D')}"
    return Drawing(
        Scale(name),
        Scale(f"{points.name('Y')}, measured over fitted, less 1 (%)", log=False),
        _points(fitted, compute, missed),
        (Line(ends, (0.0, 0.0), QUIET, SOLID, 1),),
        caption=f"What {fit.form.name}, {fit.form.formula}, misses of each row.",
        made_of=f"{len(points.y):,} rows",
    )


def _rivals(fitted: "TableFit") -> list[tuple[str, Fit]]:
    """Return the best of the other forms that have the same inputs."""
    fits = fitted.audit.fits
    names = [found.form for found in fitted.audit.held_out if not found.failure]
    same = [n for n in names if fits[n].form.inputs == fitted.fit.form.inputs and n != fitted.form]
    return [(name, fits[name]) for name in same[:RIVALS]]


def _line(
    x: np.ndarray,
    y: np.ndarray,
    colour: str,
    name: str = "",
    dash: str = SOLID,
    width: float = 1.8,
) -> Line:
    return Line(tuple(x), tuple(y), colour, dash, width, name)
