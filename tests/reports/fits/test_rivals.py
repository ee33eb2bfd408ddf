"""Rival variables by held-out error: planted variables win, equal ones do not, and few curves are
not compared.

Run alone: python -m pytest tests/reports/fits/test_rivals.py
"""

import itertools

import numpy as np
import pandas as pd
import pytest

from reports.fits.rivals import compare, logarithm_of

GRID = list(itertools.product((64, 128, 256, 512, 1024), (1.0, 2.0, 4.0, 8.0)))


def cells(radius, noise=0.0):
    """Return cells of five curves, one for each d, with log_y of the radius at p/n and d."""
    rng = np.random.default_rng(1)
    d, ratio = (np.array(values) for values in zip(*GRID, strict=True))
    table = pd.DataFrame({"curve": d.astype(str), "rows": 3, "d": d, "ratio": ratio})
    table["log_y"] = np.log(radius(ratio, d)) + noise * rng.standard_normal(len(table))
    variables = {"p/(n·d)": (ratio / d), "p/n": ratio}
    return table, variables


def test_a_power_of_p_over_nd_is_recovered_exactly_and_beats_the_rest():
    found = compare(*cells(lambda ratio, d: 0.7 * (ratio / d) ** 0.5))
    assert found.factor("p/(n·d)") == pytest.approx(1.0)
    assert list(found.misses) == [
        "p/(n·d)",
        "A + B·ln p/(n·d)",
        "p/n",
        "A + B·ln p/n",
    ]
    assert found.beats("p/(n·d)", over="p/n") and not found.beats("p/n", over="p/(n·d)")


def test_a_logarithm_beats_every_power():
    found = compare(*cells(lambda ratio, d: 0.05 + 0.06 * np.log(ratio), noise=0.01))
    logarithm = logarithm_of("p/n")
    assert found.factor(logarithm) < 1.03
    assert found.beats(logarithm, over="p/n") and found.beats(logarithm, over="p/(n·d)")


def test_a_gain_is_the_mean_difference_of_misses_with_a_t_interval():
    found = compare(*cells(lambda ratio, d: 0.7 * (ratio / d) ** 0.5, noise=0.05))
    gains = found.misses["p/n"] - found.misses["p/(n·d)"]
    mean, low, high = found.gain("p/(n·d)", over="p/n")
    assert mean == pytest.approx(gains.mean())
    assert high - mean == pytest.approx(mean - low)
    assert high - mean == pytest.approx(2.776445 * gains.std(ddof=1) / 5**0.5)  # t, 4 degrees


def test_a_left_out_curve_is_predicted_by_the_others_alone():
    table, variables = cells(lambda ratio, d: 0.7 * (ratio / d) ** 0.5)
    moved = table["d"].eq(1024)
    table.loc[moved, "log_y"] += 1.0
    found = compare(table, variables)
    assert max(found.misses["p/(n·d)"]) == pytest.approx(1.0)  # by its whole shift


def test_nothing_is_compared_below_four_curves():
    table, variables = cells(lambda ratio, d: ratio)
    few = table["d"].lt(512).to_numpy()
    found = compare(table[few], {name: values[few] for name, values in variables.items()})
    assert found.failure == "3 curves are too few to compare variables (at least 4)"
    assert not found.misses and not found.beats("p/n", over="p/(n·d)")
