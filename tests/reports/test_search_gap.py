"""The search gap: the slopes of the share, and intervals that hold an exponent with and without it.

Run alone: python -m pytest tests/reports/test_search_gap.py
"""

import numpy as np
import pytest

from reports.search_gap import Gap, GapSlope, measured, search_gap

CELLS = [(d, width, ratio) for d in (16, 64, 128) for width in (4, 8) for ratio in (1, 2, 4)]


def planted(of_d: float, of_p: float, spread: float, draw: int = 0) -> list[Gap]:
    """Return three searches a cell whose share is 0.5·(d/64)^of_d·(p/n)^of_p, with noise."""
    rng = np.random.default_rng(draw)
    gaps = []
    for d, width, ratio in CELLS:
        p = width * (d + 2) + 1
        for seed in range(3):
            share = 0.5 * (d / 64) ** of_d * (p / (p // ratio)) ** of_p
            noisy = share * float(np.exp(spread * rng.standard_normal()))
            gaps.append(Gap(d, width, p, p // ratio, seed, noisy))
    return gaps


def test_a_share_without_noise_gives_its_slopes_exactly():
    found = search_gap(planted(-0.05, 0.1, 0.0))
    assert found.of_d.slope == pytest.approx(-0.05) and found.of_p.slope == pytest.approx(0.1)
    assert found.searches == 54
    assert found.below == 54


def test_more_than_the_planted_radius_counts_as_all_of_it():
    gaps = [gap._replace(share=1 + 0.1 * gap.width) for gap in planted(0.0, 0.0, 0.0)]
    found = search_gap(gaps)
    assert found.share == 1 and found.below == 0
    assert found.of_d.slope == pytest.approx(0) and found.of_p.slope == pytest.approx(0)


@pytest.mark.slow
def test_the_intervals_hold_planted_slopes_as_often_as_they_say():
    held = [
        (f.of_d.low <= -0.05 <= f.of_d.high, f.of_p.low <= 0.1 <= f.of_p.high)
        for f in (search_gap(planted(-0.05, 0.1, 0.1, draw)) for draw in range(400))
    ]
    assert (np.mean(held, 0) >= 0.92).all() and (np.mean(held, 0) <= 0.98).all()


def test_a_search_without_a_radius_counts_as_a_small_share_and_not_as_an_error():
    gaps = planted(0.0, 0.0, 0.1)
    assert np.isfinite(search_gap([*gaps, gaps[0]._replace(share=0.0)]).share)


def test_a_widened_interval_holds_the_exponent_with_and_without_the_gap():
    gap = GapSlope(-0.06, -0.10, -0.02)
    low, high = gap.widen(-0.5, -0.53, -0.47)
    assert low == pytest.approx(-0.5 - 0.05) and high == pytest.approx(-0.44 + 0.05)

    nothing = GapSlope(0.0, 0.0, 0.0)
    assert nothing.widen(-0.5, -0.53, -0.47) == pytest.approx((-0.53, -0.47))


def test_the_shipped_searches_span_dimensions_and_sizes():
    found = measured()
    assert found.searches >= 50
    assert found.dimensions == (16, 128) and found.ratios[1] / found.ratios[0] > 3
