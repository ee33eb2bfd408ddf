"""Define what a chart is: a description in data units, which `picture.py` draws.

A chart has one drawing, or several to choose from, such as one for each way to count d. Producers
(`scatter.py`, `frontier_radii.py`, …) return descriptions and never touch the drawing library.
"""

from typing import NamedTuple

from reports.numbers import Number, Sentence

SOLID, DASHED, DOTTED = "solid", "dashed", "dotted"
CIRCLE, SQUARE, DIAMOND, STAR, CROSS, TICK = "circle", "square", "diamond", "star", "cross", "tick"
TRIANGLE, INVERTED, LEFT, RIGHT = "triangle", "triangle down", "triangle left", "triangle right"
PENTAGON = "pentagon"


CHOICES = {
    "d": "d counts",
    "measure": "measure",
    "slope": "slope of",
    "radius": "changes up to",
    "corruption": "corruption",
    "frontier-x": "against",
    "convention": "against",
    "sensitivity": "measure",
    "change": "change",
    "model": "model",
    "problem": "problem",
}
"""Name of a switch in the page's address → the words before its choices."""


class Scale(NamedTuple):
    """One axis. The title names the unit.

    share: ticks in per cent. low and high: ends of the axis; None leaves them to the data. names:
    rows of a strip from top to bottom, where a place is the index of a name.
    """

    title: str
    log: bool = True
    share: bool = False
    low: float | None = None
    high: float | None = None
    names: tuple[str, ...] = ()


class Marks(NamedTuple):
    """Marks of one look; the tuples have one entry a mark.

    name: in the legend; marks of one name share an entry. size: in pixels. low and high: ends of
    the intervals along y, or along x where `across`; empty without intervals. trials: ids, where
    each mark is a trial. texts: what a mark says, where it is something else. joined: a line
    through the marks.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: str
    shape: str = CIRCLE
    filled: bool = True
    size: float = 6.5
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    across: bool = False
    trials: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    joined: bool = False


class Line(NamedTuple):
    """A line without marks; NaN makes a gap.

    name: in the legend. label: written at the line's right end instead.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: str
    dash: str = SOLID
    width: float = 1.5
    name: str = ""
    label: str = ""


class Band(NamedTuple):
    """The interval around a line, between `low` and `high` at each x."""

    x: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    colour: str


class Drawing(NamedTuple):
    """One picture.

    value: its name in the page's address. label: its name in the list of choices. caption: the
    sentence that says what the picture shows. made_of: what the marks are, with their number.
    height: of the plot in pixels. width: of the whole picture.
    """

    x: Scale
    y: Scale
    marks: tuple[Marks, ...] = ()
    lines: tuple[Line, ...] = ()
    bands: tuple[Band, ...] = ()
    value: str = "only"
    label: str = ""
    caption: Sentence | str = ""
    made_of: str = ""
    height: int = 330
    width: int = 600


class Chart(NamedTuple):
    """A chart of the page. title: its name for readers who hear the page. switch: what its drawings
    differ in, a key of CHOICES; "" for a chart of one drawing."""

    title: str
    drawings: tuple[Drawing, ...]
    switch: str = ""

    @property
    def choice(self) -> str:
        """Return the words before the list of drawings."""
        return CHOICES[self.switch]

    def numbers(self) -> list[Number]:
        """Return the numbers of the captions, for the ledger."""
        captions = [d.caption for d in self.drawings if isinstance(d.caption, Sentence)]
        return [number for caption in captions for number in caption.numbers()]

    def trials(self) -> set[str]:
        """Return the ids of the trials that are single marks."""
        return {
            trial for drawing in self.drawings for marks in drawing.marks for trial in marks.trials
        }
