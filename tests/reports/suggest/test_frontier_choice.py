"""Searches for the most robust fit: expected half-widths are the report's, cells that are expected
to count do count once searched, and what a store cannot narrow is refused.

Run alone: python -m pytest tests/reports/suggest/test_frontier_choice.py
"""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from harness.errors import UserError
from reports.evidence import Evidence, records
from reports.fits.common_slope import common_slope
from reports.frontier import radii
from reports.frontier_answer import FrontierFit, at_one_ratio, climbing, fit_frontier, levelled
from reports.suggest.expected_radii import ExpectedRadii, Searched
from reports.suggest.frontier_design import CONSTANT, OF_D, OF_P, QUANTITIES, FrontierDesign
from reports.suggest.frontier_estimators import Cells, MeanOfCurves, SharedSlope
from reports.suggest.moves import moves
from reports.suggest.question import ask
from reports.suggest.search_seconds import SearchSeconds
from tests.reports.planted_frontiers import R_INF, TRUTHS, Shape, evidence_of, planted, shapes
from tests.reports.planted_frontiers import width_of as width

LAW = TRUTHS["law"]
SHALLOW = [shape for shape in shapes() if shape.depth == 1]
KNOWN = [shape for shape in shapes() if (shape.n, shape.d) != (1024, 512)]


def searched(cells: list[Shape]) -> Evidence:
    return planted(LAW, np.random.default_rng(0), cells, task="sphere", kind="a kind")


@cache
def known() -> FrontierFit:
    """Return the fit of all cells but those of d = 512."""
    (fit,) = fit_frontier(radii(searched(KNOWN)))
    return fit


def test_the_mean_of_curves_has_the_half_width_of_repeated_draws():
    between, within, counts = 0.1, 0.2, np.array([1, 2, 4, 8])
    curve = np.repeat(np.arange(4), counts)
    rng = np.random.default_rng(0)
    y = between * rng.standard_normal((4000, 4))[:, curve]
    y += within * rng.standard_normal(y.shape)
    means = np.column_stack([y[:, curve == k].mean(1) for k in range(4)]).mean(1)

    error = MeanOfCurves(between**2, within**2)
    assert error.half_width(counts) == pytest.approx(t.ppf(0.975, 3) * means.std(), rel=0.05)
    assert MeanOfCurves.of(curve, y[0]).half_width(counts) == pytest.approx(
        t.ppf(0.975, 3) * np.std([y[0][curve == k].mean() for k in range(4)], ddof=1) / 2
    )
    assert error.half_width(counts[:2]) == np.inf, "two curves have no interval in the report"


def test_a_shared_slope_has_the_squared_half_width_of_repeated_fits():
    """Two groups of five cells; three seeds at six of the cells, one at the rest."""
    x, group = np.tile(np.arange(5.0), 2), np.repeat([0, 1], 5)
    values = np.array([3, 1, 3, 1, 3, 3, 1, 3, 1, 3])
    cell = np.repeat(np.arange(10), values)
    of_value, of_cell = 0.1, 0.2
    rng = np.random.default_rng(0)
    squares, found = [], []
    for _ in range(400):
        y = of_cell * rng.standard_normal(10)[cell] + of_value * rng.standard_normal(len(cell))
        fit = common_slope(x[cell], y, group[cell], cell)
        squares.append(((fit.high - fit.low) / 2) ** 2)
        split = SharedSlope.of(x[cell], y, group[cell], cell)
        assert split.half_width(Cells(x, group, values)) ** 2 == pytest.approx(squares[-1])
        found.append(split)
    error = SharedSlope(of_value**2, of_cell**2)
    assert error.half_width(Cells(x, group, values)) ** 2 == pytest.approx(
        np.mean(squares), rel=0.1
    )
    assert np.mean([split.of_cell for split in found]) == pytest.approx(of_cell**2, rel=0.1)
    assert error.half_width(Cells(x[:2], group[:2], values[:2])) == np.inf


def test_the_seconds_of_a_search_follow_those_that_were_taken():
    p, n, d = (2.0 ** np.array(powers) for powers in ([8, 9, 10, 11, 9], [6, 7, 6, 8, 8], [5] * 5))
    rows = pd.DataFrame({"p": p, "n": n, "d_ambient": d, "wall_s": 0.01 * p**0.5 * n})
    seconds = SearchSeconds.of(rows)
    assert seconds.of_one(5000, 300, 32) == pytest.approx(0.01 * 5000**0.5 * 300)
    assert seconds.of_one(5000, 300, 64) == seconds.of_one(5000, 300, 32), "d did not vary"


@pytest.mark.slow
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_todays_half_width_is_the_reports(quantity: str):
    fit = known()
    half = FrontierDesign.of(fit, quantity, []).half_width()
    stated = {CONSTANT: fit.constant, OF_D: fit.dimension, OF_P: fit.size}[quantity]
    assert stated is not None
    assert half == pytest.approx((stated.high - stated.low) / 2, rel=0.01)


@pytest.mark.slow
def test_new_data_are_expected_at_their_ceiling_and_radius():
    expected = ExpectedRadii.of(known().rows)
    (row,) = expected.rows([Searched(2057, 1024, 512, 1.0, "new")], 1).to_dict("records")
    assert row["r_inf"] == pytest.approx(R_INF[1024, 512], rel=0.03)
    assert row["radius"] == pytest.approx(0.72 * (2057 / 1024 / 512) ** 0.5, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_cells_that_are_expected_to_count_do_once_they_are_searched(quantity: str):
    """The whole climb in d = 512: what the design counts is what the report's rules then take."""
    new = [Shape(1024, 512, width(1024 * k, 512), 1) for k in (1, 2, 4, 8, 16, 32)]
    cells = [Searched(shape.p, shape.n, shape.d, 1.0, "new") for shape in new]
    rows = ExpectedRadii.of(known().rows).rows(cells, 3)
    design = FrontierDesign.of(known(), quantity, [rows])
    after = design.after(0)

    table = radii(searched([*KNOWN, *new]))
    taken = {CONSTANT: levelled, OF_D: at_one_ratio, OF_P: lambda rows: climbing(rows)[0]}[quantity]
    assert sum(len(own.x) for own in after.curves.values()) == taken(table)["cell"].nunique()
    assert after.half_width() < 0.97 * design.half_width()


@pytest.mark.slow
def test_searches_get_sizes_between_and_curves_that_differ_in_one_field():
    """d = 64 has widths 4 to 124 at n = 256; d = 16, 64, 128 and 256 have rows there."""
    question = ask(searched(SHALLOW), CONSTANT)
    found = moves(question)
    cells = {(c["n"], c["d"], c["width"]) for move in found for c in move.cells}
    assert {(256, 64, 6), (256, 64, 248)} <= cells
    assert {(256, 512, 2), (1024, 639, 3)} <= cells, "as many parameters, one rung of d further"
    assert {(2048, 64, 32)} <= cells, "twice the width at twice n"
    assert not {d for _, d, _ in cells} & {8, 2048}, "one rung beyond the largest, none below"
    pairs = [move for move in found if len(move.cells) > 1]
    assert pairs and all(len(move.cells) == 2 for move in pairs)


@pytest.mark.slow
def test_a_store_says_what_it_has_to_narrow():
    one = searched(SHALLOW[:3])
    with pytest.raises(UserError, match=r"^--narrow frontier-d: 0 places are too few"):
        ask(one, OF_D)
    with pytest.raises(UserError, match=r"^--narrow frontier-constant: its interval needs 3 curve"):
        ask(one, CONSTANT)
    plain = evidence_of([], records(one.trials))
    with pytest.raises(UserError, match="the store has no finished search for the most robust"):
        ask(plain, OF_P)

    both = one._replace(
        trials=plain.trials,
        frontier=pd.concat([one.frontier, one.frontier.assign(problem="other")]),
    )
    with pytest.raises(UserError, match=r"frontier-p of other.*did you mean 'frontier-d of other'"):
        ask(both, "frontier-d of othr")
    with pytest.raises(UserError, match=r"^--narrow frontier-d of other: 0 places"):
        ask(both, "frontier-d of other")


@pytest.mark.slow
def test_searches_by_another_recipe_are_no_cells_of_the_choice():
    evidence = searched(SHALLOW)
    other = evidence.frontier.iloc[:3].copy()
    other["config_json"] = [
        json.dumps(json.loads(text) | {"frontier": "penalty"}) for text in other["config_json"]
    ]
    rows = pd.concat([evidence.frontier, other], ignore_index=True)
    question = ask(evidence._replace(frontier=rows), CONSTANT)
    assert len(question.rows) == len(evidence.frontier)
    assert len(question.all_rows) == len(rows)
