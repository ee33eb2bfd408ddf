"""Write the figures behind the charts once per page, for hover texts and CSV.

    {"arrays": [[…], …],
     "charts": {"law": {"ambient": {"x": title, "y": title, "series": [
         {"name": …, "filled": true, "x": 0, "y": 1, "trials": 2}, …]}}}}

A series refers to its columns by their place in `arrays`. Charts share most columns: every chart
against p has the same x and the same trials.
"""

import math
from collections.abc import Mapping
from typing import Any

from reports.charts.chart import Chart, Drawing, Marks

COLUMNS = ("x", "y", "low", "high", "trials", "texts")
DIGITS = 6
"""Significant digits that the page keeps of a figure."""


class _Arrays:
    """Columns of figures, equal ones kept once."""

    def __init__(self) -> None:
        self._places: dict[tuple[Any, ...], int] = {}

    def place(self, column: tuple[Any, ...]) -> int:
        """Return the column's place among all columns."""
        return self._places.setdefault(tuple(map(_plain, column)), len(self._places))

    def all(self) -> list[tuple[Any, ...]]:
        return list(self._places)


def chart_data(charts: Mapping[str, Chart]) -> dict[str, Any]:
    """Return the figures of all charts by key, drawing and series, ready for JSON."""
    arrays = _Arrays()
    by_chart = {
        key: {drawing.value: _drawing(drawing, arrays) for drawing in chart.drawings}
        for key, chart in charts.items()
    }
    return {"arrays": arrays.all(), "charts": by_chart}


def _drawing(drawing: Drawing, arrays: _Arrays) -> dict[str, Any]:
    data: dict[str, Any] = {"x": drawing.x.title, "y": drawing.y.title}
    if drawing.y.names:
        data["names"] = drawing.y.names
    return data | {"series": [_series(marks, arrays) for marks in drawing.marks]}


def _series(marks: Marks, arrays: _Arrays) -> dict[str, Any]:
    series: dict[str, Any] = {"name": marks.name, "filled": marks.filled}
    for name in COLUMNS:
        if column := getattr(marks, name):
            series[name] = arrays.place(column)
    return series


def _plain(value: Any) -> Any:
    """Return a figure with the digits that the page keeps; None for one that is not finite."""
    if isinstance(value, str):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
