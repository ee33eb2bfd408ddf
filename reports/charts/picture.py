"""Draw a description with matplotlib: axes, bands, lines, marks, labels.

Charts use `Figure` alone: no pyplot, no global state. One unit of the figure is a pixel of the
page. Each group of marks carries the id `marks-K`, K its place in the description, by which
`svg.py` finds it.
"""

from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from reports.charts.chart import (
    CIRCLE,
    CROSS,
    DASHED,
    DIAMOND,
    DOTTED,
    INVERTED,
    LEFT,
    PENTAGON,
    RIGHT,
    SOLID,
    SQUARE,
    STAR,
    TICK,
    TRIANGLE,
    Drawing,
    Line,
    Marks,
    Scale,
)
from reports.charts.style import GRID, INK, PAPER, QUIET
from reports.charts.ticks import Tick, ticks

MARKERS = {
    CIRCLE: "o",
    SQUARE: "s",
    DIAMOND: "D",
    TRIANGLE: "^",
    INVERTED: "v",
    LEFT: "<",
    RIGHT: ">",
    PENTAGON: "p",
    CROSS: "P",
    STAR: "*",
    TICK: "|",
}
DASHES = {SOLID: "-", DASHED: (0, (5, 3)), DOTTED: (0, (1.2, 2.6))}
SETTINGS = {"text.parse_math": False}
"""A name with two dollar signs is a name, not a formula."""
DPI = 72
FONT = 12
CHARACTER = 0.53 * FONT
"""Mean width of a character in pixels, to make room for text."""
LEGEND_LINE = 19
DIRECT = 5
"""Up to this many series are labelled at their ends, if their names fit there."""
LONGEST_DIRECT = 18
"""Characters of the longest name that fits at the end of a line."""


class Entry(NamedTuple):
    """One name of the legend: its colour, and how it is drawn."""

    name: str
    colour: str
    shape: str = ""
    filled: bool = True
    dash: str = ""
    width: float = 1.5


class Room(NamedTuple):
    """The margins around the plot in pixels."""

    left: float
    right: float
    top: float
    bottom: float


@matplotlib.rc_context(SETTINGS)
def picture(drawing: Drawing) -> Figure:
    """Return the figure of a description."""
    entries = _entries(drawing)
    direct = _at_ends(drawing, entries)
    x_ends = _ends(drawing.x, _values(drawing, "x"))
    y_ends = _ends(drawing.y, _values(drawing, "y"))
    y_ticks = _ticks(drawing.y, y_ends)
    rows = [] if direct else _legend_rows(entries, drawing.width)
    room = _room(drawing, y_ticks, entries if direct else [], rows)

    height = room.top + drawing.height + room.bottom
    figure = Figure(figsize=(drawing.width / DPI, height / DPI), dpi=DPI)
    figure.patch.set_visible(False)
    axes = figure.add_axes(
        (
            room.left / drawing.width,
            room.bottom / height,
            (drawing.width - room.left - room.right) / drawing.width,
            drawing.height / height,
        )
    )
    _axis(axes, "x", drawing.x, x_ends, _ticks(drawing.x, x_ends))
    _axis(axes, "y", drawing.y, y_ends, y_ticks)
    _titles(figure, drawing, room, height)

    for band in drawing.bands:
        axes.fill_between(
            band.x, band.low, band.high, color=band.colour, alpha=0.13, linewidth=0, zorder=1
        )
    for line in drawing.lines:
        _line(axes, line, x_ends, y_ends)
    for k, marks in enumerate(drawing.marks):
        _marks(axes, k, marks)

    if direct:
        _label_ends(axes, drawing)
    _legend(figure, rows, height, room)
    return figure


def _values(drawing: Drawing, axis: str) -> np.ndarray:
    """Return every value along an axis that a picture must hold."""
    values = [getattr(own, axis) for own in (*drawing.marks, *drawing.lines)]
    for marks in drawing.marks:
        if marks.across == (axis == "x"):
            values += [marks.low, marks.high]
    for band in drawing.bands:
        values += [band.x] if axis == "x" else [band.low, band.high]
    return np.array([v for group in values for v in group], float)


def _ends(scale: Scale, values: np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis: those given, else the values' with a margin."""
    if scale.names:
        return len(scale.names) - 0.5, -0.5
    values = values[np.isfinite(values)]
    if scale.log:
        values = np.log(values[values > 0])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)

    margin = 0.05 * (high - low) or (0.5 if scale.log else 0.05 * abs(high) or 1.0)
    low, high = low - margin, high + margin
    if scale.log:
        low, high = float(np.exp(low)), float(np.exp(high))
    return (
        low if scale.low is None else scale.low,
        high if scale.high is None else scale.high,
    )


def _ticks(scale: Scale, ends: tuple[float, float]) -> list[Tick]:
    if scale.names:
        return [(float(i), name) for i, name in enumerate(scale.names)]
    return ticks(*ends, scale.log, scale.share)


def _room(
    drawing: Drawing, y_ticks: list[Tick], at_ends: list[Entry], rows: list[list[Entry]]
) -> Room:
    """Return margins that hold the labels of the ticks, of the ends and of the legend."""
    widest = max((len(label) for _, label in y_ticks), default=1)
    longest = max((len(entry.name) for entry in at_ends), default=0)
    return Room(
        left=14 + CHARACTER * max(widest, 3),
        right=14 + CHARACTER * longest,
        top=30 if drawing.y.title else 12,
        bottom=46 + LEGEND_LINE * len(rows) + (6 if rows else 0),
    )


def _axis(
    axes: Axes, name: str, scale: Scale, ends: tuple[float, float], shown: list[Tick]
) -> None:
    """Set the scale, the ends, the ticks and the grid of one axis."""
    axes.set(**{f"{name}scale": "log" if scale.log and not scale.names else "linear"})
    axes.set(**{f"{name}lim": ends})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_minor_locator(NullLocator())
    axis.set_ticks([place for place, _ in shown], [label for _, label in shown])
    axis.set_tick_params(length=0, pad=6, labelsize=FONT, labelcolor=INK)
    axis.grid(True, color=GRID, linewidth=1)

    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set(color=QUIET, linewidth=1)


def _titles(figure: Figure, drawing: Drawing, room: Room, height: float) -> None:
    """Write the title of y above the plot, where it needs no turned head, and that of x below."""
    middle = (room.left + drawing.width - room.right) / 2 / drawing.width
    below = (room.bottom - 38) / height
    figure.text(middle, below, drawing.x.title, size=FONT, color=INK, ha="center")
    above = (height - 14) / height
    figure.text(4 / drawing.width, above, drawing.y.title, size=FONT, color=INK)


def _line(axes: Axes, line: Line, x_ends: tuple[float, float], y_ends: tuple[float, float]) -> None:
    axes.plot(
        line.x,
        line.y,
        color=line.colour,
        linestyle=DASHES[line.dash],
        linewidth=line.width,
        zorder=2,
    )
    if line.label:
        seen = [
            (x, y)
            for x, y in zip(line.x, line.y, strict=True)
            if min(x_ends) <= x <= max(x_ends) and min(y_ends) <= y <= max(y_ends)
        ]
        if seen:
            x, y = max(seen)
            _note(axes, line.label, (x, y), (-2, 5), "right", QUIET)


def _note(
    axes: Axes,
    text: str,
    place: tuple[float, float],
    offset: tuple[float, float],
    align: str,
    colour: str,
) -> None:
    axes.annotate(
        text,
        place,
        xytext=offset,
        textcoords="offset pixels",
        ha=align,
        size=FONT - 1,
        color=colour,
        annotation_clip=False,
        gid="note",
    )


def _marks(axes: Axes, k: int, marks: Marks) -> None:
    """Draw intervals, the line through the marks, and the marks, in this order."""
    if marks.low:
        draw = axes.hlines if marks.across else axes.vlines
        at = marks.y if marks.across else marks.x
        draw(at, marks.low, marks.high, colors=marks.colour, linewidth=1.2, zorder=3)
    if marks.joined:
        axes.plot(marks.x, marks.y, color=marks.colour, linewidth=1.5, zorder=3)
    axes.plot(
        marks.x,
        marks.y,
        linestyle="none",
        clip_on=False,
        zorder=4,
        gid=f"marks-{k}",
        **_look(marks.colour, marks.shape, marks.filled, marks.size),
    )


def _look(colour: str, shape: str, filled: bool, size: float) -> dict[str, object]:
    """Return matplotlib's settings of a mark. A hollow mark covers the lines behind it."""
    return {
        "marker": MARKERS[shape],
        "markersize": size + (3 if shape == STAR else 0),
        "markerfacecolor": colour if filled else PAPER,
        "markeredgecolor": colour,
        "markeredgewidth": 3 if shape == TICK else 1.2,
    }


def _entries(drawing: Drawing) -> list[Entry]:
    """Return the names of the legend in the order of the description, each once."""
    entries: dict[str, Entry] = {}
    for marks in drawing.marks:
        own = Entry(
            marks.name, marks.colour, marks.shape, marks.filled, SOLID if marks.joined else ""
        )
        entries.setdefault(marks.name, own)
    for line in drawing.lines:
        entries.setdefault(line.name, Entry(line.name, line.colour, dash=line.dash))
    return [entry for name, entry in entries.items() if name]


def _at_ends(drawing: Drawing, entries: list[Entry]) -> bool:
    """Return whether names stand at the ends of their series instead of in a legend."""
    few = len(entries) <= DIRECT
    return few and all(
        len(entry.name) <= LONGEST_DIRECT and entry.dash == SOLID and entry.shape
        for entry in entries
    )


def _label_ends(axes: Axes, drawing: Drawing) -> None:
    """Write each name beside the right end of its series, names that would touch pushed apart."""
    ends = []
    for marks in drawing.marks:
        if marks.name and marks.x:
            last = int(np.argmax(marks.x))
            ends.append((float(axes.transData.transform((1, marks.y[last]))[1]), marks))
    ends.sort(key=lambda end: end[0])

    lowest = -np.inf
    right = axes.get_xlim()[1]
    for height, marks in ends:
        lowest = max(height, lowest + FONT + 2)
        y = float(axes.transData.inverted().transform((0, lowest))[1])
        _note(axes, marks.name, (right, y), (6, -4), "left", marks.colour)


def _legend_rows(entries: list[Entry], width: int) -> list[list[Entry]]:
    """Return the legend's rows of as many columns as the longest name leaves room for."""
    longest = max((len(entry.name) for entry in entries), default=1)
    columns = max(1, min(3, int((width - 20) / (30 + CHARACTER * longest))))
    return [entries[i : i + columns] for i in range(0, len(entries), columns)]


def _legend(figure: Figure, rows: list[list[Entry]], height: float, room: Room) -> None:
    """Draw the legend below the axes."""
    width = figure.get_figwidth() * DPI
    columns = max((len(row) for row in rows), default=1)
    for i, row in enumerate(rows):
        y = (LEGEND_LINE * (len(rows) - i) - 10) / height
        for j, entry in enumerate(row):
            left = 14 + j * (width - 20) / columns
            _sample(figure, entry, left / width, y, width)
            figure.text((left + 20) / width, y - 4 / height, entry.name, size=FONT - 0.5, color=INK)


def _sample(figure: Figure, entry: Entry, left: float, y: float, width: float) -> None:
    """Draw the sample of one entry: a stretch of its line, its mark."""
    if entry.dash:
        ends = [left - 6 / width, left + 12 / width]
        figure.add_artist(
            Line2D(ends, [y, y], color=entry.colour, linestyle=DASHES[entry.dash], linewidth=1.5)
        )
    if entry.shape:
        look = _look(entry.colour, entry.shape, entry.filled, 6.5)
        figure.add_artist(Line2D([left + 3 / width], [y], linestyle="none", **look))
