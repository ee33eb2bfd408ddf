"""The inline SVG of a chart: marks at their places, names for readers who hear it, colours of the
page's theme, ids of its own, nothing that could run.

Run alone: python -m pytest tests/reports/charts/test_svg.py
"""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from reports.charts.chart import DASHED, DIAMOND, DOTTED, Band, Chart, Drawing, Line, Marks, Scale
from reports.charts.files import figures
from reports.charts.forest import ForestRow, forest_drawing
from reports.charts.inline import inline
from reports.charts.page_data import chart_data
from reports.charts.style import GRID, INK, PAPER, QUIET

pytestmark = pytest.mark.slow

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</svg><script>alert(1)</script>$x^2$"
X = (10.0, 100.0, 1000.0)
PLAIN = Marks("plain", X, (0.1, 0.2, 0.4), "#0072b2", trials=("a", "b", "c"))
FOUND = Marks(
    HOSTILE,
    X,
    (0.3, 0.5, 0.9),
    "#d55e00",
    DIAMOND,
    filled=False,
    low=(0.2, 0.4, 0.8),
    high=(0.35, 0.55, 0.95),
    texts=("one", "two", "three"),
)
DRAWING = Drawing(
    Scale("p, parameters"),
    Scale(HOSTILE),
    (PLAIN, FOUND),
    (
        Line((10, 1000), (0.1, 0.4), "#0072b2"),
        Line((10, 1000), (0.1, 1), QUIET, DASHED, label="law's shape"),
        Line((10, 1000), (1, 1), QUIET, DOTTED, name="a ceiling"),
    ),
    (Band((10, 1000), (0.05, 0.3), (0.2, 0.5), "#0072b2"),),
    value="first",
    label="first",
    caption="It rises.",
)
CHART = Chart("Robustness", (DRAWING, DRAWING._replace(value="second", label="second")), "d")


@pytest.fixture(scope="module")
def drawings():
    return inline(CHART, "key")


@pytest.fixture(scope="module")
def root(drawings):
    return ElementTree.fromstring(drawings[0].svg)


def uses(root, k: int):
    (group,) = root.findall(f".//{SVG}g[@data-marks='{k}']")
    return group, group.findall(f"{SVG}use")


def test_every_mark_is_drawn_in_order_at_its_place(root):
    for k, marks in enumerate(DRAWING.marks):
        _, drawn = uses(root, k)
        x, y = (np.array([float(use.get(side)) for use in drawn]) for side in "xy")
        # equal ratios are equal distances, to a tenth of a pixel
        assert np.diff(x) == pytest.approx(np.full(2, np.diff(x)[0]), abs=0.2)
        steps = np.diff(y) / np.diff(np.log(marks.y))
        assert steps == pytest.approx(np.full(2, steps[0]), rel=0.01) and steps[0] < 0


def test_hollow_marks_are_filled_with_the_background(root):
    filled, hollow = (uses(root, k)[0].get("style") for k in (0, 1))
    assert "fill:var(--chart-first,#0072b2)" in filled  # too dark for a dark page
    assert f"fill:var(--chart-paper,{PAPER})" in hollow and "stroke:#d55e00" in hollow


def test_colours_of_text_grid_and_guides_follow_the_page(root):
    text = ElementTree.tostring(root, encoding="unicode")
    for colour in (INK, QUIET, GRID, PAPER):
        assert colour in text
        assert not re.search(rf"(?<!,){colour}", text), colour
    assert all("fill:var(--chart-" in element.get("style") for element in root.iter(f"{SVG}text"))


def test_a_chart_has_a_name_and_a_description(root):
    assert root.get("role") == "img"
    described = {element.get("id"): element.text for element in root if element.get("id")}
    assert described[root.get("aria-labelledby")] == "Robustness (first)"
    description = described[root.get("aria-describedby")]
    assert description.startswith("It rises. Across: p, parameters. Up: ")
    assert "Series: plain, " in description
    assert root.get("viewBox").startswith("0 0 600 ") and root.get("width") is None


def test_ids_belong_to_one_drawing_and_every_reference_is_known(drawings):
    seen: set[str] = set()
    for drawing in drawings:
        ids = re.findall(r' id="([^"]+)"', drawing.svg)
        used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', drawing.svg)
        assert len(ids) == len(set(ids)) and not seen & set(ids)
        assert all(own.startswith(f"key-{drawing.value}-") for own in ids)
        assert {a or b for a, b in used} <= set(ids)
        seen |= set(ids)


def test_names_are_text_and_nothing_else(root, drawings):
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "desc", "defs", "g", "path", "use", "text", "clipPath", "rect"),
    }
    assert "<script" not in drawings[0].svg and "<style" not in drawings[0].svg
    assert [element.text for element in root.iter(f"{SVG}text")].count(HOSTILE) == 2


def test_lines_are_solid_dashed_and_dotted_and_named(root):
    dashes = [
        re.search(r"stroke-dasharray:([\d.,]+)", element.get("style", ""))
        for element in root.iter(f"{SVG}path")
    ]
    assert len({match[1] for match in dashes if match}) == 2
    written = [element.text for element in root.iter(f"{SVG}text")]
    assert "law's shape" in written and "a ceiling" in written


def test_a_drawing_is_small_and_the_same_each_time(drawings):
    assert len(drawings[0].svg) < 9000
    assert inline(CHART, "key")[0].svg == drawings[0].svg


def test_the_data_of_the_page_keeps_each_column_once():
    data = chart_data({"one": CHART, "two": CHART})
    assert data["arrays"].count(X) == 1
    series = data["charts"]["two"]["second"]["series"][1]
    assert data["arrays"][series["high"]] == (0.35, 0.55, 0.95)
    assert series["name"] == HOSTILE and series["filled"] is False and "trials" not in series


def test_few_short_names_stand_at_the_ends_of_their_series():
    lines = tuple(PLAIN._replace(name=f"p = {k}", joined=True) for k in range(5))
    few = Drawing(Scale("x"), Scale("y"), lines)
    svg = ElementTree.fromstring(inline(Chart("ends", (few,)), "k")[0].svg)
    ends = [
        element
        for element in svg.iter(f"{SVG}text")
        if (element.text or "").startswith("p = ") and "start" in element.get("style", "start")
    ]
    heights = sorted(float(element.get("y") or 0) for element in ends)
    assert len(ends) == 5 and min(np.diff(heights)) >= 12


def test_a_forest_has_a_row_an_interval_and_a_shape_for_each_slope():
    rows = [
        ForestRow("sphere", "best", 0.48, 0.43, 0.53),
        ForestRow("sphere", "plain", 0.2, 0.1, 0.3, (("lr 0.1", 0.15), ("lr 0.3", 0.25))),
        ForestRow("GPT", "plain", float("nan"), float("nan"), float("nan"), (("a", -0.4),)),
    ]
    drawing = forest_drawing(rows, 0.5, "power of p")
    assert drawing.y.names == ("sphere", "sphere", "GPT") and drawing.lines[0].x == (0.5, 0.5)
    recipes, best, plain = drawing.marks
    told = (
        "Of 2 intervals, 1 holds the law's order, 0.5; 1 lies below it. Slopes left of the"
        " dotted line are consistent with the law."
    )
    assert drawing.caption == told and recipes.name == "one recipe"
    unbounded = forest_drawing(rows[:1], None, "power of p")
    assert unbounded.lines[0].x == (0.0, 0.0) and "law" not in str(unbounded.caption)
    assert (best.x, best.y, best.low, best.high) == ((0.48,), (0.0,), (0.43,), (0.53,))
    assert plain.x == (0.2,) and recipes.y == (1.0, 1.0, 2.0) and best.shape != plain.shape

    root = ElementTree.fromstring(inline(Chart("slopes", (drawing,)), "forest")[0].svg)
    described = root.findtext(f"{SVG}desc", "")
    assert "Rows: sphere, sphere, GPT." in described and "Up:" not in described
    (at_best,), (at_plain,) = (uses(root, k)[1] for k in (1, 2))
    assert float(at_best.attrib["y"]) < float(at_plain.attrib["y"])
    assert float(at_best.attrib["x"]) > float(at_plain.attrib["x"])


def test_a_measure_that_nowhere_changes_has_its_forest():
    rows = [ForestRow(name, "plain", 0.0, 0.0, 0.0) for name in ("sphere", "GPT")]
    drawing = forest_drawing(rows, None, "power of p")
    root = ElementTree.fromstring(inline(Chart("slopes", (drawing,)), "forest")[0].svg)
    _, drawn = uses(root, 0)
    places = [float(mark.attrib["x"]) for mark in drawn]
    assert len(places) == 2 and places[0] == places[1] > 0


def test_figures_for_papers_are_files_that_do_not_change(tmp_path):
    written = figures({"law": CHART, "one": Chart("one", (DRAWING,))}, tmp_path / "new")
    names = ["law-first", "law-second", "one"]
    assert [path.name for path in written] == [n + e for n in names for e in (".svg", ".pdf")]
    again = figures({"one": Chart("one", (DRAWING,))}, tmp_path / "again")
    assert [path.read_bytes() for path in written[-2:]] == [path.read_bytes() for path in again]
    assert written[1].read_bytes().startswith(b"%PDF")
    assert ElementTree.fromstring(written[0].read_bytes()).tag == f"{SVG}svg"
