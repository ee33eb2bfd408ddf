"""Turn a figure into inline SVG: themable, accessible, small, with ids of its own.

matplotlib writes SVG for files. The page needs colours that follow its theme, a title and a
description for readers who hear it, ids that no other chart of the page has, and a tenth of the
characters.
"""

import io
import re
import warnings
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib
from matplotlib.figure import Figure

from reports.charts.style import COLOURS, GRID, INK, PAPER, QUIET

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
THEME = {INK: "ink", QUIET: "quiet", GRID: "grid", PAPER: "paper", COLOURS[0]: "first"}
"""Colour → the custom property that replaces it, with the colour as its fallback."""
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "unilaw", "text.parse_math": False}
LARGEST = 1.2
"""The page shows a picture at most this multiple of its own size."""
USUAL = {
    "fill-opacity: 1",
    "stroke-dashoffset: 0",
    "stroke-linecap: square",
    "stroke-linejoin: miter",
    "stroke-width: 1",
}
"""Declarations that are the default, or make no difference here."""


class Names(NamedTuple):
    """What an SVG says to readers who hear the page: its title and its description."""

    title: str
    description: str


def svg_file(figure: Figure) -> bytes:
    """Return matplotlib's own SVG of the figure, without a date."""
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        # The text stays text, so the reader's fonts draw it, whatever matplotlib's lack.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def inline_svg(figure: Figure, key: str, names: Names) -> str:
    """Return the figure as an <svg> element. Every id in it begins with `key`."""
    root = ElementTree.fromstring(svg_file(figure))
    _prune(root)
    _rename(root, key)
    for element in root.iter():
        _shorten(element)
    for group in root.iter(f"{SVG}g"):
        if group.get("data-marks") is not None:
            _share_style(group)
    _flatten(root)
    _describe(root, key, names)
    ElementTree.register_namespace("", SVG[1:-1])
    return ElementTree.tostring(root, encoding="unicode")


def _prune(root: Element) -> None:
    """Remove the metadata, and the style sheet, which would rule the whole page."""
    for child in list(root):
        only_style = child.tag == f"{SVG}defs" and child.find(f"{SVG}style") is not None
        if child.tag == f"{SVG}metadata" or only_style:
            root.remove(child)


def _rename(root: Element, key: str) -> None:
    """Give ids that something refers to a short name with the chart's key; turn the ids of marks
    and notes into attributes; drop all others."""
    used: dict[str, str] = {}

    def name(own: str) -> str:
        return used.setdefault(own, f"{key}-{len(used)}")

    for element in root.iter():
        if HREF in element.attrib:
            element.set("href", "#" + name(element.attrib.pop(HREF)[1:]))
        if "clip-path" in element.attrib:
            element.set("clip-path", f"url(#{name(element.attrib['clip-path'][5:-1])})")

    for element in root.iter():
        own = element.attrib.pop("id", "")
        if own in used:
            element.set("id", used[own])
        elif own.startswith("marks-"):
            element.set("data-marks", own.removeprefix("marks-"))
        elif own == "note":
            element.set("class", "note")


def _shorten(element: Element) -> None:
    """Round coordinates to a tenth of a pixel, and put the theme's colours into the style."""
    element.tail = None
    if element.text is not None and not element.text.strip():
        element.text = None
    if (path := element.get("d")) is not None:
        element.set("d", re.sub(r"\s*([MLCQz])\s*", r"\1", _rounded(path)).strip())
    for attribute in ("x", "y", "width", "height", "transform"):
        if (value := element.get(attribute)) is not None:
            element.set(attribute, _rounded(value))
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]

    if (style := element.attrib.pop("style", None)) is not None:
        declared = [part.strip() for part in style.split(";")]
        kept = [_themed(part) for part in declared if part and part not in USUAL]
        kept = [part for part in kept if not part.startswith("font-family")]
        if kept:
            element.set("style", ";".join(kept))


def _rounded(text: str) -> str:
    """Return the text with every number rounded to one decimal."""
    return re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), text)


def _themed(declaration: str) -> str:
    name, value = declaration.split(": ", 1)
    if value in THEME:
        value = f"var(--chart-{THEME[value]},{value})"
    return f"{name}:{value}"


def _share_style(group: Element) -> None:
    """Give a group of marks one style instead of one a mark. The shape takes it from its use."""
    for shape in group.iter(f"{SVG}path"):
        shape.attrib.pop("style", None)
    for mark in group.iter(f"{SVG}use"):
        if style := mark.attrib.pop("style", None):
            group.set("style", style)


def _flatten(element: Element) -> None:
    """Replace groups that say nothing by what is in them."""
    children = []
    for child in element:
        _flatten(child)
        plain = child.tag == f"{SVG}g" and not child.attrib
        children += list(child) if plain else [child]
    element[:] = children


def _describe(root: Element, key: str, names: Names) -> None:
    """Name the picture, and let the page choose its size."""
    width = float(root.attrib.pop("width").removesuffix("pt"))
    root.attrib.pop("height")
    root.set("style", f"max-width:{LARGEST * width:.0f}px;--drawn:{width:.0f}px")
    root.attrib.pop("version", None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{key}-title")
    root.set("aria-describedby", f"{key}-desc")

    for name, text in (("desc", names.description), ("title", names.title)):
        element = Element(f"{SVG}{name}", {"id": f"{key}-{name}"})
        element.text = text
        root.insert(0, element)
