"""Intervals of slopes cover as often as they say, and a true p/(n·d) is seldom contradicted: a
small part of `python -m tests.benchmarks.coverage`.

Run alone: python -m pytest tests/reports/fits/test_coverage.py
"""

import numpy as np
import pytest

from reports.fits.random_slope import curve_slopes, mean_slope, pool_spread
from tests.benchmarks.coverage import (
    CollapseDesign,
    Design,
    contradictions,
    curves_of,
    judge,
    simulate,
)

DRAWS = 2000
FEW = 400
"""Where a pooled spread is solved for in every draw."""
CHANCE = 0.015
"""Three standard errors of a share near 0.95 over DRAWS."""


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.0, 0.03, 0.05])
@pytest.mark.parametrize("cells", [4, 12])
@pytest.mark.parametrize("curves", [3, 5, 16])
def test_the_interval_of_three_or_more_curves_covers_as_often_as_it_says(curves, cells, tau):
    result = judge(Design("", [cells] * curves, tau), DRAWS, seed=curves)
    assert result.coverage == pytest.approx(0.95, abs=CHANCE)
    assert result.width <= (2.3 if curves == 3 else 1.5)


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.0, 0.05])
@pytest.mark.parametrize("cells", [4, 12])
@pytest.mark.parametrize("curves", [1, 2])
def test_one_or_two_curves_are_covered_by_a_spread_pooled_over_kinds(curves, cells, tau):
    beside = [([cells] * 3, tau)] * 2
    result = judge(Design("", [cells] * curves, tau, beside), FEW, seed=curves)
    assert result.coverage >= 0.90 + CHANCE and result.width <= 1.5


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.0, 0.03, 0.05])
@pytest.mark.parametrize(("own", "others"), [(4, 12), (12, 4)])
def test_a_pooled_spread_covers_a_kind_of_another_precision(own, others, tau):
    result = judge(Design("", [own], tau, [([others] * 5, tau)]), FEW, seed=0)
    assert result.coverage >= 0.90 + CHANCE
    assert result.width <= (1.5 if own == 4 else 5.5)


@pytest.mark.slow
def test_three_kinds_of_two_curves_are_enough_for_a_pooled_spread():
    result = judge(Design("", [6] * 2, 0.0, [([6] * 2, 0.0)] * 2), FEW, seed=0)
    assert result.coverage >= 0.90 + CHANCE and result.width <= 1.5


@pytest.mark.parametrize("tau", [0.0, 0.05])
def test_errors_that_neighbours_share_do_not_spoil_the_coverage(tau):
    result = judge(Design("", [8] * 4, tau, along=0.5), DRAWS, seed=0)
    assert result.coverage == pytest.approx(0.95, abs=CHANCE)


def test_curves_of_unequal_precision_are_covered_at_least_as_often_as_said():
    result = judge(Design("", [4, 8, 12], 0.0), DRAWS, seed=0)
    assert result.coverage >= 0.95 - CHANCE


def test_every_curve_has_the_same_say_however_many_cells_it_has():
    cells = [3, 12]
    x = np.concatenate([np.arange(count, dtype=float) for count in cells])
    slopes = np.repeat([0.1, 0.5], cells)
    kind = curve_slopes(x, slopes * x, np.ones(15), curves_of(cells))
    rng = np.random.default_rng(0)
    others = [simulate(rng, 1, [6] * 5, 0.03, 0.0)[0]._replace(slopes=np.array([0.1] * 5))]
    fit = mean_slope(kind, pool_spread([kind, *others]))
    assert fit is not None and fit.slope == pytest.approx(0.3)


def test_one_or_two_curves_alone_get_no_interval():
    rng = np.random.default_rng(0)
    for cells in ([6], [6, 6]):
        kind, _ = simulate(rng, 1, cells, 0.0, 0.0)
        assert mean_slope(kind, pool_spread([kind])) is None
    assert mean_slope(simulate(rng, 1, [6] * 3, 0.0, 0.0)[0]) is not None


@pytest.mark.slow
@pytest.mark.parametrize("grid", [(3, 3, 4), (3, 3, 8), (4, 4, 6)])
@pytest.mark.parametrize("level", [0.0, 0.05])
@pytest.mark.parametrize("scaled", [True, False])
def test_a_true_variable_is_contradicted_in_at_most_one_case_of_twenty(grid, level, scaled):
    """Levels that scatter leave a contrast of n and d fewer degrees of freedom; with those of
    independent errors it is contradicted in 6 %."""
    design = CollapseDesign(*grid, tau=0.0, level=level, scaled=scaled)
    assert contradictions(design, 4 * DRAWS, seed=1)[0] <= 0.05 + CHANCE / 2


def test_a_wrong_variable_is_contradicted_where_the_grid_can_tell():
    design = CollapseDesign(4, 4, 6, tau=0.0, level=0.0, scaled=False)
    assert contradictions(design, DRAWS, seed=1)[1] >= 0.95
