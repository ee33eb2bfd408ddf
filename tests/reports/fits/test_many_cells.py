"""Fits over many cells and curves: each is that of the dense matrices, and none of those is made.

Run alone: python -m pytest tests/reports/fits/test_many_cells.py
"""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from reports.fits import collapse
from reports.fits.cells import cells_of, members_of
from reports.fits.collapse import fit_collapse
from reports.fits.slope import fit_slope
from reports.measures import STABILITY
from tests.reports.fits.test_slope import frame
from tests.reports.stores import power_law

SAME = 1e-9
"""Only the order of summation differs."""


SPREAD = frame(power_law(0.3, 0.3, 0.1, spread=0.2, ns=(100, 200, 400), ds=(8, 16, 32), seeds=3))
UNEVEN = SPREAD.drop(index=[0, 1, 2, 7, 30, 31, 32, 33, 34, 35])


@pytest.mark.parametrize("rows", [SPREAD, UNEVEN], ids=["grid", "uneven"])
def test_held_out_errors_are_those_of_a_fit_without_the_largest_sizes(rows: pd.DataFrame):
    largest = rows["p"].eq(rows.groupby("curve")["p"].transform("max"))
    known = rows[~largest]
    slopes = [
        np.polyfit(np.log(own["p"]), np.log(own[STABILITY]), 1)[0]
        for _, own in known.groupby("curve")
    ]
    sizes = np.log(rows["p"].to_numpy(float))
    above = pd.Series(np.log(rows[STABILITY].to_numpy(float)) - np.mean(slopes) * sizes, rows.index)
    levels = above[~largest].groupby(known["curve"]).mean()
    errors = above[largest].groupby(rows["curve"][largest]).mean() - levels
    expected = np.exp(np.sqrt(np.mean(errors**2)))
    assert fit_slope(rows, STABILITY).held_out == pytest.approx(expected, rel=SAME)


@pytest.mark.parametrize("columns", [4, 2], ids=["free", "one exponent"])
def test_leaving_out_curves_is_fitting_the_others(columns: int):
    cells = cells_of(UNEVEN, STABILITY)
    logs = np.log(cells[["p", "n", "d"]].to_numpy(float))
    design = np.column_stack([np.ones(len(logs)), logs])[:, :columns]
    y = cells["log_y"].to_numpy()
    w = cells["rows"].to_numpy(float)
    curves = members_of(cells["curve"])
    assert expected_left_out(design, y, w, curves) == pytest.approx(
        collapse._left_out(design, y, w, curves), rel=SAME
    )


@pytest.mark.parametrize("rank", ["whole", "of every fit short", "of the rest short"])
def test_a_fit_that_is_not_determined_is_the_one_of_least_norm(rank: str):
    """As where one curve alone has another n, or all have one."""
    rng = np.random.default_rng(3)
    curves = [np.arange(4 * g, 4 * g + 4) for g in range(5)]
    last = {
        "whole": rng.standard_normal(20),
        "of every fit short": np.full(20, 2.0),
        "of the rest short": np.repeat([1.0, 1.0, 1.0, 1.0, 3.0], 4),
    }[rank]
    design = np.column_stack([np.ones(20), rng.standard_normal(20), last])
    y = rng.standard_normal(20)
    w = rng.integers(1, 4, 20).astype(float)
    assert collapse._left_out(design, y, w, curves) == pytest.approx(
        expected_left_out(design, y, w, curves), rel=SAME
    )


def expected_left_out(
    design: np.ndarray, y: np.ndarray, w: np.ndarray, curves: list[np.ndarray]
) -> np.ndarray:
    """Return what `_left_out` does, by a fit of its own for each curve."""
    errors = np.empty(len(y))
    for out in curves:
        known = np.setdiff1d(np.arange(len(y)), out)
        solution = collapse._least_squares(design[known], y[known], w[known])
        errors[out] = y[out] - design[out] @ solution
    return errors


def many(curves: int) -> pd.DataFrame:
    """Return cells on so many curves of five sizes, with the columns that fits read."""
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(curves), 5)
    p = np.tile([100, 200, 400, 800, 1600], curves)
    n = 100 + number % 40
    d = 10 + number // 40
    return pd.DataFrame(
        {
            "trial_id": [f"{k:016x}" for k in range(len(p))],
            "curve": [f"curve {g}" for g in number],
            "cell": [f"cell {k}" for k in range(len(p))],
            "p": p,
            "n": n,
            "d_ambient": d,
            STABILITY: 0.01 * p**0.2 * np.exp(0.1 * rng.standard_normal(len(p))),
        }
    )


@pytest.mark.slow
def test_no_fit_holds_a_matrix_of_cells_and_curves():
    """4 000 cells on 800 curves made 25 MB."""
    rows = many(800)
    tracemalloc.start()
    fitted = fit_slope(rows, STABILITY)
    together = fit_collapse(rows, STABILITY)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert fitted.slope == pytest.approx(0.2, abs=0.01) and together.cells == 4000
    assert highest < 4000 * 800 * 8 / 3, f"{highest / 1e6:.0f} MB"
