"""Draw a chart for the page: the inline SVG of each of its drawings."""

from typing import NamedTuple

from markupsafe import Markup

from reports.charts.chart import Chart, Drawing
from reports.charts.picture import picture
from reports.charts.svg import Names, inline_svg
from reports.numbers import Sentence


class Inline(NamedTuple):
    """One drawing of a chart on the page."""

    value: str
    label: str
    svg: Markup
    caption: Sentence | str
    made_of: str


def inline(chart: Chart, key: str) -> list[Inline]:
    """Return the chart's drawings for the page, where the chart has this key."""
    return [
        Inline(
            drawing.value,
            drawing.label,
            Markup(inline_svg(picture(drawing), _id(key, drawing), _names(chart, drawing))),
            drawing.caption,
            drawing.made_of,
        )
        for drawing in chart.drawings
    ]


def _id(key: str, drawing: Drawing) -> str:
    return f"{key}-{drawing.value}"


def _names(chart: Chart, drawing: Drawing) -> Names:
    """Return what the picture says to readers who hear the page: its caption, and its series."""
    series = [marks.name for marks in drawing.marks if marks.name]
    listed = ", ".join(dict.fromkeys(series))
    description = f"{drawing.caption} Across: {drawing.x.title}."
    if drawing.y.title:
        description += f" Up: {drawing.y.title}."
    elif drawing.y.names:
        description += f" Rows: {', '.join(drawing.y.names)}."
    if listed:
        description += f" Series: {listed}."
    return Names(_title(chart, drawing), description.strip())


def _title(chart: Chart, drawing: Drawing) -> str:
    """Return the chart's title or, where its drawings have axes of their own, what these are; and
    the drawing's label, where the axes do not tell it from the others."""
    axes = [(own.x.title, own.y.title) for own in chart.drawings]
    alike = axes.count((drawing.x.title, drawing.y.title))
    if drawing.y.title and alike < len(axes):
        title = f"{drawing.y.title} against {drawing.x.title}"
        return f"{title} ({drawing.label})" if alike > 1 else title
    return f"{chart.title} ({drawing.label})" if drawing.label else chart.title
