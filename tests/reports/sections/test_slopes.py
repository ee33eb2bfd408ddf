"""The forest beside the answer: short labels that tell its rows apart, and its caption.

Run alone: python -m pytest tests/reports/sections/test_slopes.py
"""

import numpy as np
import pandas as pd
import pytest

from reports.charts.forest import ForestRow, intervals_sentence
from reports.data_names import kind_labels
from reports.evidence import Evidence
from reports.frontier import radii
from reports.frontier_answer import ATTAINED, fit_frontier
from reports.law import Fits
from reports.sections.slopes import slopes_chart
from tests.reports.planted_frontiers import TRUTHS, planted

NONE = pd.DataFrame()
NO_ROWS = Evidence(None, NONE, NONE, 0, [], [], [], frozenset(), NONE)  # pyright: ignore


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["sphere, ±1 target, pure noise"], ["Random data"]),
        (
            ["sphere, ±1 target, pure noise", "sphere, ±1 target, pure noise, interpolated"],
            ["Random data", "Random data, interpolated"],
        ),
        (
            ["mnist-mlp, 10 classes, 30 % resampled", "mnist-mlp, ±1 target, 20 % flipped"],
            ["MNIST, 10 classes", "MNIST, ±1 target"],
        ),
        (
            ["mnist-mlp, 10 classes, a", "mnist-mlp, 10 classes, b", "mnist-mlp, ±1 target, a"],
            ["MNIST, 10 classes, a", "MNIST, 10 classes, b", "MNIST, ±1 target, a"],
        ),
        (["abalone, ±1 target"], ["abalone"]),
        (
            ["mnist-mlp, 10 classes, a", "mnist-cnn, 10 classes, a"],
            ["MNIST, mnist-mlp", "MNIST, mnist-cnn"],
        ),
        (
            ["mnist-mlp, 10 classes, a", "mnist-mlp, 10 classes, b", "mnist-cnn, 10 classes, a"],
            ["MNIST, mnist-mlp, a", "MNIST, mnist-mlp, b", "MNIST, mnist-cnn, a"],
        ),
        (["own, a, b", "own, b, a"], ["own, own, a, b", "own, own, b, a"]),
    ],
)
def test_labels_are_short_and_distinct(kinds, expected):
    families = [kind.split(", ")[0] for kind in kinds]
    assert [own.label for own in kind_labels(kinds, families).values()] == expected


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            ["sphere, a", "sphere, a, interpolated"],
            [
                "trained down to the noise level",
                "trained until every label is fitted (interpolated)",
            ],
        ),
        (
            ["sphere, a", "sphere, a, trained against pgd 0.1"],
            ["the plain one", "trained against pgd 0.1"],
        ),
        (
            ["mnist-mlp, a", "mnist-cnn, a"],
            ["mnist-mlp", "mnist-cnn"],
        ),
    ],
)
def test_a_sentence_names_the_stop_rule_only_where_kinds_differ_in_it_alone(kinds, expected):
    families = [kind.split(", ")[0] for kind in kinds]
    assert [own.in_sentence for own in kind_labels(kinds, families).values()] == expected


@pytest.mark.parametrize(
    ("intervals", "order", "expected"),
    [
        ([(0.1, 0.2)], 0.5, "The interval lies below the law's order, 0.5."),
        ([(0.4, 0.6)], 0.5, "The interval holds the law's order, 0.5."),
        ([(0.1, 0.2), (0, 0.3)], 0.5, "Both intervals lie below the law's order, 0.5."),
        (
            [(0.4, 0.6), (0.1, 0.2), (0.6, 0.7), (0.8, 0.9)],
            0.5,
            "Of 4 intervals, 1 holds the law's order, 0.5; 1 lies below it and 2 lie above it.",
        ),
        ([(-0.6, -0.4)], -0.5, "The interval holds the law's order, −0.5."),
        ([(-0.1, 0.1)], None, "The interval holds 0, no change with size."),
        ([(float("nan"), 0.1)], 0.5, "No slope here has an interval."),
    ],
)
def test_the_caption_counts_the_intervals(intervals, order, expected):
    rows = [ForestRow("x", "plain", (low + high) / 2, low, high) for low, high in intervals]
    assert intervals_sentence(rows, order) == expected


@pytest.mark.slow
def test_a_decided_frontier_has_a_row_for_p_and_one_for_1_over_d():
    rng = np.random.default_rng(0)
    (fit,) = fit_frontier(radii(planted(TRUTHS["law"], rng)))
    assert fit.verdict == ATTAINED
    chart = slopes_chart(NO_ROWS, Fits([], {}, [], [fit]), [])
    assert chart is not None
    (drawing,) = chart.drawings
    assert drawing.y.names == ("Random data", "Random data, 1/d") and "1/d" in drawing.x.title
    (marks,) = drawing.marks
    assert marks.x == pytest.approx((0.5, 0.5), abs=0.1)

    others = [fit, fit._replace(problem="sphere, ±1 target, σ² 0.5")]
    chart = slopes_chart(NO_ROWS, Fits([], {}, [], others), [])
    assert chart is not None
    assert chart.drawings[0].y.names == tuple(
        f"{own.problem}{of}" for own in others for of in ("", ", 1/d")
    )

    undecided = fit._replace(verdict="cannot tell: the law can bind in no cell")
    assert slopes_chart(NO_ROWS, Fits([], {}, [], [undecided]), []) is None
