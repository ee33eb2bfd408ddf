"""Draw a description with matplotlib: grid, bands, lines, marks, labels.

Pictures use `Figure` alone: no pyplot, no global state. Every artist is placed in pixels of the
page (`plane.py`), since matplotlib's own axes take longer than all the rest. Each group of marks
carries the id `marks-K`, K its place in the description, by which `svg.py` finds it.
"""

from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.transforms import Bbox, IdentityTransform

from reports.charts.chart import Band, Drawing, Line, Marks, Scale
from reports.charts.legend import (
    LEGEND_LINE,
    draw_legend,
    entries_of,
    legend_rows,
    stand_at_ends,
)
from reports.charts.looks import CHARACTER, DASHES, DPI, FONT, look
from reports.charts.plane import Axis, ends_of
from reports.charts.style import GRID, INK, QUIET
from reports.charts.ticks import Tick, ticks

SETTINGS: Any = {"text.parse_math": False}
"""A name with two dollar signs is a name, not a formula."""
PIXELS = IdentityTransform()


class Plane(NamedTuple):
    """The plot within a figure."""

    figure: Figure
    x: Axis
    y: Axis

    def add(self, artist: Artist, zorder: float, clipped: bool = True) -> None:
        """Add an artist that is placed in pixels; clipped to the plot, if so asked."""
        artist.set_transform(PIXELS)
        artist.set_zorder(zorder)
        self.figure.add_artist(artist)
        if clipped:
            corners = [[self.x.start, self.y.start], [self.x.stop, self.y.stop]]
            artist.set_clip_box(Bbox(corners))

    def line(self, x: npt.ArrayLike, y: npt.ArrayLike, zorder: float, **look: Any) -> None:
        """Add a line through data, broken where a value has no place."""
        drawn = Line2D(self.x.pixels(x), self.y.pixels(y), **look)
        self.add(drawn, zorder)

    def text(self, x: float, y: float, text: str, **look: Any) -> None:
        """Write text at a place in pixels."""
        self.figure.text(x, y, text, transform=PIXELS, **({"color": INK, "size": FONT} | look))


def picture(drawing: Drawing) -> Figure:
    """Return the figure of a description."""
    entries = entries_of(drawing)
    direct = stand_at_ends(entries)
    y_ends = ends_of(drawing, "y")
    y_ticks = _ticks(drawing.y, y_ends)
    rows = [] if direct else legend_rows(entries, drawing.width)

    left = 14 + CHARACTER * max([3, *(len(label) for _, label in y_ticks)])
    longest = max((len(entry.name) for entry in entries), default=0) if direct else 0
    right = drawing.width - 14 - CHARACTER * longest
    bottom = 46 + (LEGEND_LINE * len(rows) + 6 if rows else 0)
    top = bottom + drawing.height
    height = top + (30 if drawing.y.title else 12)

    figure = Figure(figsize=(drawing.width / DPI, height / DPI), dpi=DPI)
    figure.patch.set_visible(False)
    x = Axis(drawing.x, *ends_of(drawing, "x"), left, right)
    plane = Plane(figure, x, Axis(drawing.y, *y_ends, bottom, top))
    with matplotlib.rc_context(SETTINGS):
        _grid(plane, _ticks(drawing.x, (x.low, x.high)), y_ticks)
        plane.text((left + right) / 2, bottom - 38, drawing.x.title, ha="center")
        # Above the plot the title of y needs no turned head.
        plane.text(4, height - 14, drawing.y.title)

        for band in drawing.bands:
            _band(plane, band)
        for line in drawing.lines:
            _line(plane, line)
        for k, marks in enumerate(drawing.marks):
            _marks(plane, k, marks)
        if direct:
            _label_ends(plane, drawing)
        draw_legend(figure, rows)
    return figure


def _ticks(scale: Scale, ends: tuple[float, float]) -> list[Tick]:
    if scale.names:
        return [(float(i), name) for i, name in enumerate(scale.names)]
    return ticks(*ends, scale.log, scale.share)


def _grid(plane: Plane, x_ticks: list[Tick], y_ticks: list[Tick]) -> None:
    """Draw a line and a label for every tick, and the line at the bottom."""
    left, right, bottom, top = plane.x.start, plane.x.stop, plane.y.start, plane.y.stop
    lines = []
    for place, label in x_ticks:
        at = float(plane.x.pixels(place))
        lines.append([(at, bottom), (at, top)])
        plane.text(at, bottom - 16, label, ha="center")
    for place, label in y_ticks:
        at = float(plane.y.pixels(place))
        lines.append([(left, at), (right, at)])
        plane.text(left - 6, at - 4, label, ha="right")

    plane.add(LineCollection(lines, colors=GRID, linewidths=1), 0, clipped=False)
    floor = Line2D([left, right], [bottom, bottom], color=QUIET, linewidth=1)
    plane.add(floor, 1, clipped=False)


def _band(plane: Plane, band: Band) -> None:
    across = plane.x.pixels(band.x)
    low, high = plane.y.pixels(band.low), plane.y.pixels(band.high)
    outline = np.column_stack([np.r_[across, across[::-1]], np.r_[low, high[::-1]]])
    plane.add(Polygon(outline, facecolor=band.colour, alpha=0.13, linewidth=0), 1)


def _line(plane: Plane, line: Line) -> None:
    """Draw a line, and its label at the last point that is seen."""
    style = {"color": line.colour, "linestyle": DASHES[line.dash], "linewidth": line.width}
    plane.line(line.x, line.y, 2, **style)
    if not line.label:
        return
    seen = plane.x.holds(line.x) & plane.y.holds(line.y)
    if seen.any():
        last = max(zip(np.asarray(line.x)[seen], np.asarray(line.y)[seen], strict=True))
        x, y = float(plane.x.pixels(last[0])) - 2, float(plane.y.pixels(last[1])) + 5
        # Near the left edge the label runs to the right, where there is room.
        side = "right" if x - CHARACTER * len(line.label) > plane.x.start else "left"
        plane.text(x, y, line.label, ha=side, size=FONT - 1, color=QUIET, gid="note")


def _marks(plane: Plane, k: int, marks: Marks) -> None:
    """Draw intervals, the line through the marks, and the marks, in this order."""
    x, y = plane.x.pixels(marks.x), plane.y.pixels(marks.y)
    if not np.isfinite([x, y]).all():
        # matplotlib would leave the mark out, and those after it would get its text.
        raise ValueError(f"a mark of '{marks.name}' has no place on its axes")
    if marks.low:
        axis = plane.x if marks.across else plane.y
        ends = zip(x, y, axis.pixels(marks.low), axis.pixels(marks.high), strict=True)
        bars = [
            [(low, up), (high, up)] if marks.across else [(across, low), (across, high)]
            for across, up, low, high in ends
        ]
        width = 1.8 if marks.across else 1.2  # a row of its own has room for a stronger bar
        plane.add(LineCollection(bars, colors=marks.colour, linewidths=width), 3)
    if marks.joined:
        plane.line(marks.x, marks.y, 3, color=marks.colour, linewidth=1.5)

    style = look(marks.colour, marks.shape, marks.filled, marks.size)
    drawn = Line2D(x, y, linestyle="none", gid=f"marks-{k}", **style)
    plane.add(drawn, 4, clipped=False)


def _label_ends(plane: Plane, drawing: Drawing) -> None:
    """Write each name beside the right end of its series, names that would touch pushed apart."""
    ends = sorted(
        (float(plane.y.pixels(marks.y[int(np.argmax(marks.x))])), marks.name, marks.colour)
        for marks in drawing.marks
        if marks.name and marks.x
    )
    lowest = -np.inf
    for height, name, colour in ends:
        lowest = max(height, lowest + FONT + 2)
        plane.text(plane.x.stop + 6, lowest - 4, name, size=FONT - 1, color=colour, gid="note")
