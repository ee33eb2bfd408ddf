"""Describe the frontier: the radius of the most robust fit found, and that of plain training,
against p/(n·d), p/n or m/n.

Diamonds: the most robust fit found. Circles: plain training. One lightness a dimension.
"""

import numpy as np
import pandas as pd

from reports.charts.chart import (
    CIRCLE,
    CROSS,
    DASHED,
    DIAMOND,
    DOTTED,
    SOLID,
    SQUARE,
    Chart,
    Drawing,
    Line,
    Marks,
    Scale,
)
from reports.charts.frontier_points import cells_of_fit, texts_of
from reports.charts.style import COLOURS, INK, QUIET, steps
from reports.charts.ticks import readable
from reports.construction import caps
from reports.frontier_answer import ATTAINED, FrontierFit

VARIABLES = {
    "by_law": "p / (n·d)",
    "per_sample": "p / n",
    "per_neuron": "m / n, neurons over samples",
}
TITLE = "training radius, data units (estimate)"
HEADROOM = 1.6
"""The y axis ends at this multiple of the largest r∞ or radius. r_law may lie above it."""
CEILINGS = {
    "r_inf": ("r∞", "no net of any size", SOLID),
    "r_law": ("r_law, 1 nat", "a parameter", DASHED),
    "r_law_32bit": ("r_law, 22.2 nats", "a parameter", DOTTED),
}
"""Column of a ceiling → its name at the line, the rest of its name in the legend, its dashes."""


def radii_chart(fits: list[FrontierFit]) -> Chart | None:
    """Draw r* with its bracket and plain training's radius, None where nothing was fitted."""
    tables = [(fit, cells_of_fit(fit)) for fit in fits]
    tables = [(fit, cells) for fit, cells in tables if cells["radius"].notna().any()]
    several = len(tables) > 1
    drawings = [
        _drawing(fit, cells, variable, f"{variable}-problem{i}" if several else variable)
        for i, (fit, cells) in enumerate(tables)
        for variable in VARIABLES
        if cells[variable].notna().any()
    ]
    if not drawings:
        return None
    switch = "frontier-x" if len(drawings) > 1 else ""
    return Chart(
        "Radius of the most robust fit found and of plain training", tuple(drawings), switch
    )


def radii_words(chart: Chart) -> str:
    """Return what the marks and lines of the chart are, of those that it draws."""
    text = (
        "The radius of the most robust fit found, and that of plain training, against size."
        " Diamonds: geometric mean over data seeds of the largest radius that any search fitted and"
        " a verification confirmed; the bar, which the mark may hide, ends at the smallest radius"
        " that was searched and not fitted. Circles: plain training on the same data, trained on"
        " past R*/2."
    )
    lines = {line.label for drawing in chart.drawings for line in drawing.lines}
    known = {column: CEILINGS[column][0] in lines for column in CEILINGS}
    if known["r_inf"]:
        text += " Solid grey line: r∞, above which no model of any size can lie."
    if known["r_law"]:
        text += (
            " Broken grey line: r_law at 1 nat a parameter, above which no class of exp(p) models"
            " can lie, for the curve with the most sizes;"
        )
        at_most = "dotted: r_law at 22.2 nats, all that 32 bits hold."
        text += (
            f" {at_most if known['r_law_32bit'] else 'r_law at 22.2 nats lies above the picture.'}"
        )
    crosses = [own.x for own in chart.drawings[0].marks if own.shape == CROSS]
    if crosses:
        several = sum(map(len, crosses)) > 1
        text += (
            f" {'Crosses' if several else 'Cross'}: caps around every point, a fit that needs no"
        )
        text += " training."
    return text


def _drawing(fit: FrontierFit, cells: pd.DataFrame, variable: str, value: str) -> Drawing:
    """Return the radii of one problem against one variable."""
    dimensions = sorted(int(d) for d in cells["d"].unique())
    marks: list[Marks] = []
    plain: list[Marks] = []
    for d, colour in zip(dimensions, steps(COLOURS[0], len(dimensions)), strict=True):
        own = cells[cells["d"].eq(d)]
        marks += _found(own, variable, colour, f"best fit found, d = {d:,}")
        plain += _plain(own, variable, colour)
    tops = [float(cells[["radius", "r_inf"]].max().max())]
    lows = [float(cells[["radius", "plain"]].min().min())]
    if cells["proved"].all():
        caps_made = _construction(cells, variable)
        marks.append(caps_made)
        tops, lows = tops + [max(caps_made.y)], lows + [min(caps_made.y)]
    top = HEADROOM * max(tops)
    return Drawing(
        Scale(VARIABLES[variable]),
        Scale(TITLE, low=min(lows) / HEADROOM, high=top),
        tuple(plain + marks),
        tuple(_lines(fit, cells, variable, top)),
        value=value,
        label=f"{VARIABLES[variable]} · {fit.problem}",
        caption=_caption(fit, cells),
        made_of=f"{len(cells)} cells, each a geometric mean over its data seeds; a bar ends where"
        " no fit was found.",
        height=380,
    )


def _caption(fit: FrontierFit, cells: pd.DataFrame) -> str:
    """Return over which range the best fits lie how far above plain training."""
    compared = cells[cells["plain"].notna() & cells["radius"].notna()]
    reach = f"{cells['radius'].min():.3g} to {cells['radius'].max():.3g}"
    text = f"{fit.problem}: the best fits found have radii of {reach} data units"
    if len(compared):
        gain = (compared["radius"] / compared["plain"]).to_numpy(float)
        least, most = (readable(float(f"{end:.3g}")) for end in (gain.min(), gain.max()))
        text += f", {least} to {most} times those of plain training"
    return f"{text}; {fit.verdict}.{_growth(cells)}"


def _growth(cells: pd.DataFrame) -> str:
    """Return how far both radii grow along the curve with the most sizes; empty below two."""
    curve = _longest(cells)
    curve = curve[curve["plain"].gt(0) & curve["radius"].gt(0)].sort_values("p")
    if curve["p"].nunique() < 2:
        return ""
    first, last = curve.iloc[0], curve.iloc[-1]
    best, plain = (readable(float(f"{last[of] / first[of]:.3g}")) for of in ("radius", "plain"))
    return (
        f" From {first['p']:,.0f} to {last['p']:,.0f} parameters (n = {first['n']:,}, d ="
        f" {first['d']:,}) the best fit's radius grows {best}-fold, plain training's {plain}-fold."
    )


def _found(cells: pd.DataFrame, variable: str, colour: str, name: str) -> list[Marks]:
    """Return the best fits of one dimension; those of deeper nets are squares."""
    deep = cells["depth"].gt(cells["depth"].min())
    marks = []
    for own, shape, label in (
        (cells[~deep], DIAMOND, name),
        (cells[deep], SQUARE, f"{name}, deeper nets"),
    ):
        own = own[own[variable].notna() & own["radius"].notna()]
        if len(own):
            radius = own["radius"].astype(float)
            marks.append(
                Marks(
                    label,
                    tuple(own[variable].astype(float)),
                    tuple(radius),
                    colour,
                    shape,
                    low=tuple(radius),
                    high=tuple(own["missed"].astype(float).fillna(radius)),
                    texts=texts_of(own),
                )
            )
    return marks


def _plain(cells: pd.DataFrame, variable: str, colour: str) -> list[Marks]:
    """Return plain training's radii in one dimension."""
    own = cells[cells[variable].notna() & cells["plain"].notna()]
    if own.empty:
        return []
    x, y = own[variable].astype(float), own["plain"].astype(float)
    texts = texts_of(own)
    return [Marks("plain training", tuple(x), tuple(y), colour, CIRCLE, False, 6, texts=texts)]


def _lines(fit: FrontierFit, cells: pd.DataFrame, variable: str, top: float) -> list[Line]:
    """Return the ceilings of the curve with the most sizes, as far as they lie below the top of the
    picture, and the constant."""
    shown = _longest(cells)
    at = f"n = {shown['n'].iloc[0]:,}, d = {shown['d'].iloc[0]:,}"
    lines = []
    for column, (label, rest, dash) in CEILINGS.items():
        known = shown[shown[column].notna() & shown[variable].notna()]
        if len(known) and known[column].min() < top:
            x, y = tuple(known[variable].astype(float)), tuple(known[column].astype(float))
            name = f"{label} {rest} ({at})"
            lines.append(Line(x, y, QUIET, dash, 1.3, name, label))

    if fit.constant and fit.verdict == ATTAINED and variable == "by_law":
        inside = cells.loc[cells["window"], "by_law"]
        ends = np.array([inside.min(), inside.max()], float)
        heights = fit.constant.value * np.sqrt(ends)
        name = f"{fit.constant.value:.2f}·√(p/(n·d)), where it was fitted"
        lines.append(Line(tuple(ends), tuple(heights), INK, name=name))
    return lines


def _longest(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of the curve with the most sizes; of several, that of the largest d."""
    sizes = cells.groupby("curve").agg(sizes=("p", "nunique"), d=("d", "first"))
    return cells[cells["curve"].eq(sizes.sort_values(["sizes", "d"]).index[-1])]


def _construction(cells: pd.DataFrame, variable: str) -> Marks:
    """Return the cap construction for every n and d of the cells."""
    places = cells[["n", "d"]].drop_duplicates()
    made = [caps(int(n), int(d)) for n, d in zip(places["n"], places["d"], strict=True)]
    table = places.assign(radius=[own.radius for own in made], p=[own.p for own in made])
    table["by_law"] = table["p"] / (table["n"] * table["d"])
    table["per_sample"] = table["p"] / table["n"]
    table["per_neuron"] = 1.0
    texts = tuple(
        f"caps: n {n:,}, d {d:,}, p {p:,}: radius 1 − cos θ = {radius:.3g}"
        for n, d, p, radius in zip(*(table[c] for c in ("n", "d", "p", "radius")), strict=True)
    )
    return Marks(
        "caps by construction, 1 − cos θ (θ for uniform points)",
        tuple(table[variable].astype(float)),
        tuple(table["radius"].astype(float)),
        QUIET,
        CROSS,
        False,
        6,
        texts=texts,
    )
