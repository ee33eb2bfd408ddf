"""Fits over many cells and curves: the numbers are those of the dense matrices that they were once
made of, and neither matrix is made.

Run alone: python -m pytest tests/reports/fits/test_many_cells.py
"""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from reports.claims import generalisation
from reports.fits import slope
from reports.fits.slope import SEED, fit_collapse, fit_slope
from reports.measures import STABILITY
from tests.reports.fits.test_slope import frame
from tests.reports.stores import power_law

SAME = 1e-9
"""Only the order of summation differs."""


def cells_of(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y, weights and curve number of each cell."""
    cells = slope._cells(rows, STABILITY)
    curve = np.unique(cells["curve"], return_inverse=True)[1]
    x = np.log(cells["p"].to_numpy(float))
    return x, cells["log_y"].to_numpy(), cells["rows"].to_numpy(float), curve


def dense_slopes(x: np.ndarray, y: np.ndarray, w: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Return slopes (R,) for weights w (R, cells), by a matrix of cells and curves."""
    member = np.eye(curve.max() + 1)[curve]
    mass = np.maximum(w @ member, 1e-300)
    dx = x - ((w * x) @ member / mass)[:, curve]
    dy = y - ((w * y) @ member / mass)[:, curve]
    spread = (w * dx * dx).sum(1)
    undetermined = spread <= 1e-12
    return np.where(undetermined, np.nan, (w * dx * dy).sum(1) / (spread + undetermined))


def dense_draws(curve: np.ndarray, replicates: int) -> np.ndarray:
    """Return how often each cell is drawn, (R, cells)."""
    rng = np.random.default_rng(SEED)
    count = curve.max() + 1
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=replicates)
    times = np.zeros((replicates, len(curve)))
    for g in range(count):
        own = np.flatnonzero(curve == g)
        times[:, own] = rng.multinomial(len(own) * drawn[:, g], np.full(len(own), 1 / len(own)))
    return times


SPREAD = frame(power_law(0.3, 0.3, 0.1, spread=0.2, ns=(100, 200, 400), ds=(8, 16, 32), seeds=3))
ONE_CURVE = frame(power_law(0.2, spread=0.3))
UNEVEN = SPREAD.drop(index=[0, 1, 2, 7, 30, 31, 32, 33, 34, 35])


@pytest.mark.parametrize("rows", [SPREAD, ONE_CURVE, UNEVEN], ids=["grid", "one curve", "uneven"])
def test_a_slope_and_its_interval_are_those_of_the_dense_form(rows: pd.DataFrame):
    x, y, w, curve = cells_of(rows)
    fit = fit_slope(rows, STABILITY)
    b = dense_slopes(x, y, w[None, :], curve)[0]
    assert fit.slope == pytest.approx(b, rel=SAME)

    draws = dense_slopes(x, y, w * dense_draws(curve, slope.REPLICATES), curve)
    k, c = len(x), curve.max() + 1
    widen = np.sqrt(max(k / (k - c - 1), c / (c - 1) if c > 1 else 1))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    assert (fit.low, fit.high) == pytest.approx(
        (b + (low - b) * widen, b + (high - b) * widen), SAME
    )

    kept = np.array([x[i] < x[curve == curve[i]].max() for i in range(k)])
    b = dense_slopes(x[kept], y[kept], w[None, kept], curve[kept])[0]
    levels = [
        np.average((y - b * x)[kept & (curve == g)], weights=w[kept & (curve == g)])
        for g in range(c)
    ]
    errors = (y - b * x - np.array(levels)[curve])[~kept]
    assert fit.held_out == pytest.approx(np.exp(np.sqrt(np.mean(errors**2))), rel=SAME)


@pytest.mark.parametrize("columns", [4, 2], ids=["free", "one exponent"])
def test_leaving_out_curves_is_fitting_the_others(columns: int):
    cells = slope._cells(UNEVEN, STABILITY)
    logs = np.log(cells[["p", "n", "d"]].to_numpy(float))
    design = np.column_stack([np.ones(len(logs)), logs])[:, :columns]
    y = cells["log_y"].to_numpy()
    w = cells["rows"].to_numpy(float)
    curves = slope._members(cells["curve"])
    assert expected_left_out(design, y, w, curves) == pytest.approx(
        slope._left_out(design, y, w, curves), rel=SAME
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
    assert slope._left_out(design, y, w, curves) == pytest.approx(
        expected_left_out(design, y, w, curves), rel=SAME
    )


def expected_left_out(
    design: np.ndarray, y: np.ndarray, w: np.ndarray, curves: list[np.ndarray]
) -> float:
    """Return what `_left_out` does, by a fit of its own for each curve."""
    errors = np.empty(len(y))
    for out in curves:
        known = np.setdiff1d(np.arange(len(y)), out)
        solution = slope._least_squares(design[known], y[known], w[known])
        errors[out] = y[out] - design[out] @ solution
    return float(np.exp(np.sqrt(np.average(errors**2, weights=w))))


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
def test_no_fit_holds_a_matrix_of_cells_and_curves(monkeypatch: pytest.MonkeyPatch):
    """Nor one of replicates and cells. 4 000 cells on 800 curves made 25 MB, and with 2 000
    replicates 64 MB, several times over."""
    monkeypatch.setattr(slope, "REPLICATES", 20)
    rows = many(800)
    tracemalloc.start()
    fitted = fit_slope(rows, STABILITY)
    collapse = fit_collapse(rows, STABILITY)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert fitted.slope == pytest.approx(0.2, abs=0.01) and collapse.cells == 4000
    assert highest < 4000 * 800 * 8 / 3, f"{highest / 1e6:.0f} MB"


def test_a_rank_correlation_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 9, (2, 30)).astype(float)
    in_parts = generalisation.rank_correlation(x, y)
    monkeypatch.setattr(generalisation, "TOGETHER", 10_000)
    assert generalisation.rank_correlation(x, y) == in_parts
