"""The slope that groups share: exact lines, coverage with seeds that err together, and too little
data.

Run alone: python -m pytest tests/reports/fits/test_common_slope.py
"""

import numpy as np
import pytest

from reports.fits.common_slope import bend, common_slope

PLACES = np.log([64, 128, 256, 512])


def design(places=PLACES, groups=1, seeds=3):
    """Return x, group and cell of every value."""
    count = len(places)
    x = np.tile(np.repeat(places, seeds), groups)
    group = np.repeat(np.arange(groups), count * seeds)
    cell = np.repeat(np.arange(groups * count), seeds)
    return x, group, cell


def test_an_exact_line_has_its_slope_whatever_the_levels():
    x, group, cell = design(groups=3)
    fit = common_slope(x, 7.0 * group - 0.5 * x, group, cell)
    assert fit.slope == pytest.approx(-0.5) and fit.high - fit.low < 1e-9
    assert (fit.places, fit.cells, fit.groups) == (4, 12, 3)
    assert fit.within(-0.5, 0.15) and not fit.within(0, 0.15)


@pytest.mark.slow
@pytest.mark.parametrize("of_cells", [0.0, 0.02])
@pytest.mark.parametrize("places", [PLACES[1:], PLACES])
def test_the_interval_covers_also_where_the_seeds_of_a_cell_err_together(places, of_cells):
    rng = np.random.default_rng(5)
    x, group, cell = design(places)
    draws = 1500
    held = 0
    for _ in range(draws):
        common = of_cells * rng.standard_normal(len(places))
        y = -0.5 * x + common[cell] + 0.04 * rng.standard_normal(len(x))
        fit = common_slope(x, y, group, cell)
        held += fit.low <= -0.5 <= fit.high
    assert held / draws > (0.94 if of_cells == 0 else 0.88)


def test_groups_with_one_place_do_not_count_and_two_places_are_too_few():
    x, group, cell = design()
    alone = np.r_[x, 0.0], np.r_[x, 99.0], np.r_[group, 1], np.r_[cell, 4]
    assert common_slope(*alone).slope == pytest.approx(1.0) and common_slope(*alone).groups == 1
    x, group, cell = design(PLACES[:2], groups=4)
    assert common_slope(x, x, group, cell).failure == (
        "2 places are too few for a slope (at least 3)"
    )
    nothing = np.zeros(0)
    assert common_slope(nothing, nothing, nothing, nothing).failure.startswith("0 places")


def test_one_seed_at_too_few_places_has_no_interval():
    x, group, cell = design(PLACES[:3], seeds=1)
    assert not common_slope(x, x, group, cell).failure
    few = common_slope(x[:2], x[:2], group[:2], cell[:2], least=2)
    assert few.failure == "one seed at too few places leaves no interval" and np.isnan(few.slope)


def test_a_parabola_bends_by_its_second_coefficient():
    x = np.log([1.0, 2, 4, 8, 16])
    found = bend(x, 3 - 0.4 * x + 0.05 * x**2)
    assert found.per_decade == pytest.approx(0.05 * np.log(10))
    assert found.decades == pytest.approx(np.log10(16))
    assert np.isnan(bend(x[:2], x[:2]).per_decade)
