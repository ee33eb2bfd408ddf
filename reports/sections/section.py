"""Define a section of the page, and fill its template."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from reports.charts.chart import Chart
from reports.charts.inline import inline
from reports.numbers import Number

TEMPLATES = Path(__file__).parent.parent / "templates"
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
)
ENVIRONMENT.globals["inline"] = inline


class Section(NamedTuple):
    """A part of the page. `key` is its anchor. A section without a title gets no heading.

    `numbers` are all the numbers in its prose, for the ledger. `figures` are its charts, by the key
    under which the template places them. `style` is what the page's style needs of this store, made
    of our own names.
    """

    key: str
    title: str
    html: Markup
    numbers: Sequence[Number] = ()
    figures: Mapping[str, Chart] = {}
    style: str = ""


def fill(template: str, **values: Any) -> Markup:
    """Return the template's HTML with every value escaped."""
    return Markup(ENVIRONMENT.get_template(template).render(**values))


def fill_in_pieces(template: str, **values: Any) -> Iterator[str]:
    """Yield the template's HTML in order, with every value escaped."""
    return ENVIRONMENT.get_template(template).generate(**values)


def read_template(name: str) -> Markup:
    """Return one of our own styles or scripts unescaped."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def as_json(value: Any) -> Markup:
    """Return JSON for a <script> element, without the characters that could end the element."""
    text = json.dumps(value, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
