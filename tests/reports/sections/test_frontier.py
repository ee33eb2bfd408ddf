"""The section "The frontier": every number computed again by other code, the charts, and the
sentences.

Run alone: python -m pytest tests/reports/sections/test_frontier.py
"""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest

from reports.charts.chart import CIRCLE, CROSS, DIAMOND, Chart, Drawing, Line, Marks, Scale
from reports.charts.frontier_radii import CEILINGS, radii_words
from reports.evidence import read_evidence
from reports.frontier import radii
from reports.frontier_answer import fit_frontier
from reports.law import Fits
from reports.sections import frontier
from reports.sections.section import Section
from tests.reports.page_reader import Page
from tests.reports.planted_frontiers import (
    PROBLEM,
    TRUTHS,
    Shape,
    evidence_of,
    frontier_row,
    plain_row,
    planted,
)
from tests.reports.sections.frontier_again import of_cell, recomputed
from tests.reports.stores import make_store, row


def made(evidence) -> Section:
    section = frontier.section(evidence, Fits([], {}, [], fit_frontier(radii(evidence))))
    assert section is not None
    return section


@pytest.fixture(scope="module")
def law():
    evidence = planted(TRUTHS["law"], np.random.default_rng(1))
    rows = pd.concat([evidence.trials, evidence.frontier]).set_index("trial_id")
    return made(evidence), rows


@pytest.mark.slow
def test_every_number_is_in_the_html_and_recomputed_from_rows(law):
    section, rows = law
    numbers = {number.key: number for number in section.numbers}
    assert {key for key, _, _ in Page(str(section.html)).data} <= set(numbers)
    for key, number in numbers.items():
        used = rows.loc[list(number.trials)]
        expected = of_cell(key, used) if ":cell:" in key else recomputed(key, used, rows)
        near = 0.02 if "ln" in key else 1e-6 * abs(expected)  # A + B·ln v is fitted over a grid
        assert abs(number.value - expected) <= near, f"{key}: {number.how}"


@pytest.mark.slow
def test_the_table_states_the_radii_of_the_chart(law):
    section, _ = law
    marks = [own for own in section.figures["frontier"].drawings[0].marks if own.low]
    drawn = sorted(y for own in marks for y in own.y)
    stated = sorted(number.value for number in section.numbers if number.key.endswith(":radius"))
    assert stated == pytest.approx(drawn)


def test_the_words_below_the_chart_name_what_is_drawn():
    cross = Marks("caps", (1.0,), (1.0,), "#000000", CROSS)
    law = [Line((1, 2), (1, 2), "#000000", label=CEILINGS[column][0]) for column in CEILINGS]
    part = Drawing(Scale("x"), Scale("y"), (cross,), tuple(law[:2]))
    words = radii_words(Chart("radii", (part,)))
    assert "22.2 nats lies above the picture" in words and "Cross: caps" in words
    whole = part._replace(marks=(cross._replace(x=(1.0, 2.0), y=(1.0, 2.0)),), lines=tuple(law))
    words = radii_words(Chart("radii", (whole,)))
    assert "dotted: r_law at 22.2 nats" in words and "Crosses: caps" in words


def text_of(section: Section) -> str:
    return " ".join(unescape(re.sub("<[^>]+>", "", str(section.html))).split())


@pytest.mark.slow
def test_the_first_sentence_states_verdict_constant_and_range(law):
    section, _ = law
    prose = text_of(section)
    assert f"On {PROBLEM}: the law's order is attained, in the variable p/(n·d)." in prose
    assert re.search(
        r"a radius of 0\.7\d* \(0\.\d+ to 0\.\d+\)·√\(p/\(n·d\)\) over p/n from \d", prose
    )
    assert "d from 64 to 512" in prose
    assert "nan" not in prose.lower().split()


@pytest.mark.slow
def test_points_are_means_over_seeds_with_their_bracket(law):
    section, rows = law
    chart = section.figures[frontier.RADII]
    assert [drawing.label for drawing in chart.drawings] == [
        f"{x} · {PROBLEM}" for x in ("p / (n·d)", "p / n", "m / n, neurons over samples")
    ]
    by_law, per_sample = ({own.name: own for own in d.marks} for d in chart.drawings[:2])
    largest = by_law["best fit found, d = 512"]
    searched = rows[rows["d_ambient"].eq(512) & rows["frontier"].notna()].sort_values("p")
    means = np.exp(np.log(searched["frontier_radius"].astype(float)).groupby(searched["p"]).mean())
    assert largest.shape == DIAMOND and by_law["plain training"].shape == CIRCLE
    assert largest.y == pytest.approx(means.tolist())
    assert largest.x == pytest.approx([p / (1024 * 512) for p in means.index])
    assert per_sample[largest.name].x == pytest.approx([p / 1024 for p in means.index])
    assert largest.high == pytest.approx((1.05 * means).tolist())
    # the ceilings are drawn for the climb, which has the most sizes
    first = chart.drawings[0]
    ceilings = [line for line in first.lines if line.name.startswith("r_law")]
    assert ceilings and all("n = 256, d = 256" in line.name for line in ceilings)
    assert len({line.dash for line in ceilings}) == len(ceilings)
    # a line above the picture would be in the legend alone
    assert first.y.high is not None and all(min(line.y) < first.y.high for line in ceilings)
    assert "times those of plain training" in str(chart.drawings[0].caption)


@pytest.mark.slow
def test_cells_where_the_law_cannot_bind_are_hollow_in_the_chart_of_dimension(law):
    section, _ = law
    (drawing,) = section.figures[frontier.MULTIPLES].drawings
    at_n = {marks.filled: set(marks.x) for marks in drawing.marks if marks.name == "p = n"}
    assert at_n[True] == {64, 100, 128, 203, 256, 339, 512} and min(at_n[False]) == 16


def test_searches_that_fit_nothing_have_a_section_and_no_chart():
    shape = Shape(1024, 128, 8, 1)
    section = made(evidence_of([frontier_row(shape, 0, None, frontier_trap=True)], []))
    prose = text_of(section)
    assert not section.figures
    assert "in 5 trainings. Without a fit at any radius: 1. In 1 the training that missed" in prose
    assert "nan" not in prose.lower().split()


@pytest.mark.slow
def test_both_ways_of_searching_are_compared():
    shape = Shape(1024, 128, 16, 1)
    searched = [
        frontier_row(shape, s, r, way)
        for s in (0, 1)
        for r, way in ((0.1, "adversary"), (0.09, "penalty"))
    ]
    section = made(evidence_of(searched, [plain_row(shape, 0, 0.05)]))
    prose = text_of(section)
    assert (
        "A penalty instead of an adversary, tried on 2 of them, reaches 0.9 of its radius." in prose
    )
    assert "Plain training reaches 0.5 of the radius of the best fit found" in prose


def test_a_store_without_searches_has_no_section(tmp_path):
    evidence = read_evidence(make_store(tmp_path / "store", [row()]))
    assert frontier.section(evidence, Fits([], {}, [])) is None
