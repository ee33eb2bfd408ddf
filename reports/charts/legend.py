"""Name the series of a picture: at their ends while they are few, else in a legend below it."""

from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.charts.chart import SOLID, Drawing
from reports.charts.looks import CHARACTER, DASHES, DPI, FONT, look
from reports.charts.style import INK

LEGEND_LINE = 19
DIRECT = 5
"""Up to this many series are labelled at their ends, if their names fit there."""
LONGEST_DIRECT = 18
"""Length in characters of the longest name that is written at the end of a line."""


class Entry(NamedTuple):
    """One name of the legend: its colour, and how it is drawn."""

    name: str
    colour: str
    shape: str = ""
    filled: bool = True
    dash: str = ""


def entries_of(drawing: Drawing) -> list[Entry]:
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


def stand_at_ends(entries: list[Entry]) -> bool:
    """Return whether names stand at the ends of their series instead of in a legend."""
    few = len(entries) <= DIRECT
    return few and all(
        len(entry.name) <= LONGEST_DIRECT and entry.dash == SOLID and entry.shape
        for entry in entries
    )


def legend_rows(entries: list[Entry], width: int) -> list[list[Entry]]:
    """Return the legend's rows of as many columns as the longest name leaves room for."""
    longest = max((len(entry.name) for entry in entries), default=1)
    columns = max(1, min(3, int((width - 20) / (30 + CHARACTER * longest))))
    return [entries[i : i + columns] for i in range(0, len(entries), columns)]


def draw_legend(figure: Figure, rows: list[list[Entry]]) -> None:
    """Draw the legend below the axes."""
    width, height = (DPI * side for side in figure.get_size_inches())
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
        mark = look(entry.colour, entry.shape, entry.filled, 6.5)
        figure.add_artist(Line2D([left + 3 / width], [y], linestyle="none", **mark))
