"""Describe r*·sqrt(n·d/p) against d at fixed p/n, which decides between the variables p/(n·d) and
p/n."""

import numpy as np
import pandas as pd

from reports.charts.chart import DASHED, DIAMOND, DOTTED, Chart, Drawing, Line, Marks, Scale
from reports.charts.frontier_points import cells_of_fit, texts_of
from reports.charts.style import COLOURS, QUIET
from reports.frontier_answer import PER_SAMPLE, FrontierFit, at_ratios
from reports.numbers import signed

TITLE = "r* · √(n·d/p)"


def multiples_chart(fits: list[FrontierFit]) -> Chart | None:
    """Draw r*·sqrt(n·d/p) against d at fixed p/n, None without two dimensions at any.

    Where p/(n·d) is the variable the marks lie on a horizontal line, where p/n is, on a rising
    one. Filled: the law can bind in the cell.
    """
    tables = {fit.problem: (fit, _at_fixed_ratios(fit)) for fit in fits}
    drawings = [
        _drawing(fit, cells, f"problem{i}")
        for i, (fit, cells) in enumerate(tables.values())
        if cells["d"].nunique() > 1
    ]
    if not drawings:
        return None
    switch = "problem" if len(drawings) > 1 else ""
    return Chart(f"{TITLE} against d at fixed p/n", tuple(drawings), switch)


def _at_fixed_ratios(fit: FrontierFit) -> pd.DataFrame:
    """Return the cells of the shallowest nets near the values PER_SAMPLE of p/n."""
    cells = at_ratios(cells_of_fit(fit))
    cells = cells[cells["radius"].notna()]
    return cells.assign(multiple=cells["radius"] / np.sqrt(cells["by_law"]))


def _drawing(fit: FrontierFit, cells: pd.DataFrame, value: str) -> Drawing:
    marks = []
    for colour, k in zip(COLOURS, PER_SAMPLE, strict=False):
        for binds in (True, False):
            own = cells[cells["ratio"].eq(k) & cells["binds"].eq(binds)]
            if len(own):
                marks.append(_multiples(own, k, colour, binds))
    return Drawing(
        Scale("d, numbers in one input"),
        Scale(TITLE),
        tuple(marks),
        tuple(_orders(cells)),
        value=value,
        label=fit.problem,
        caption=_caption(fit),
        made_of=f"{len(cells)} cells, each a geometric mean over its data seeds.",
    )


def _caption(fit: FrontierFit) -> str:
    """Return the fitted exponent of d, beside those of the two orders."""
    slope = fit.dimension
    if not np.isfinite(slope.slope):
        return f"{fit.problem}: too few dimensions at one p/n for an exponent of d."
    interval = f" ({signed(slope.low)} to {signed(slope.high)})" if np.isfinite(slope.low) else ""
    return (
        f"{fit.problem}: at fixed p/n the radius r* grows like d^b with b ="
        f" {signed(slope.slope)}{interval}; −1/2 makes p/(n·d) the variable, 0 makes it p/n."
    )


def _multiples(cells: pd.DataFrame, k: int, colour: str, binds: bool) -> Marks:
    return Marks(
        "p = n" if k == 1 else f"p = {k}n",
        tuple(cells["d"].astype(float)),
        tuple(cells["multiple"].astype(float)),
        colour,
        DIAMOND,
        binds,
        size=7,
        texts=texts_of(cells),
    )


def _orders(cells: pd.DataFrame) -> list[Line]:
    """Return the two orders as guides through the cells of the largest dimension."""
    ends = np.array([cells["d"].min(), cells["d"].max()], float)
    height = float(np.exp(np.log(cells.loc[cells["d"].eq(ends[1]), "multiple"]).mean()))
    flat = (height, height)
    rising = tuple(height * np.sqrt(ends / ends[1]))
    across = tuple(ends)
    return [
        Line(across, flat, QUIET, DASHED, name="if p/(n·d) is the variable (height chosen)"),
        Line(across, rising, QUIET, DOTTED, name="if p/n is the variable (height chosen)"),
    ]
