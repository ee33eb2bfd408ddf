"""The solver of Huber regressions: no general search does better, ranges are kept.

Run alone: python -m pytest tests/reports/fits/test_huber.py
"""

import numpy as np
import pytest
from scipy.optimize import minimize

from reports.fits.huber import DELTA, Runs, minimise, search
from reports.fits.scaling import problem_of
from reports.scaling.points import Points
from reports.scaling.power_sums import CHINCHILLA as FORM

XY = np.random.default_rng(0).normal(size=(2, 30))
CHINCHILLA = problem_of(
    FORM, Points({"N": np.exp(XY[0]), "D": np.exp(XY[1])}, np.exp(-XY[0]))
).engine


def huber(r: np.ndarray) -> float:
    return float(np.where(abs(r) <= DELTA, r * r / 2, DELTA * (abs(r) - DELTA / 2)).sum())


def noisy(seed: int, spread: float = 0.01) -> Runs:
    noise = np.random.default_rng(seed).standard_t(3, 30)
    log_loss = CHINCHILLA.evaluate(np.array([[0.5, 0.3, 0.2, 0.4, 0.3]]), XY)[0][0]
    return Runs(XY, log_loss + spread * noise)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_no_start_of_a_general_search_does_better(seed):
    runs = noisy(seed)
    z, cost = search(CHINCHILLA, runs)

    def objective(v):
        return 1e3 * huber(CHINCHILLA.evaluate(v[None], runs.inputs)[0][0] - runs.target)

    bounds = list(zip(CHINCHILLA.low, np.minimum(CHINCHILLA.high, 1e3), strict=True))
    theirs = [
        minimize(objective, s, bounds=bounds, options={"maxiter": 2000, "ftol": 1e-14}).fun
        for s in CHINCHILLA.starts[::12]
    ]
    assert cost[0] <= min(theirs) / 1e3 * (1 + 1e-6) and cost[0] == pytest.approx(
        objective(z[0]) / 1e3
    )
    assert (np.diff(cost) >= 0).all()


def test_weights_count_as_repeats_and_zero_as_absence():
    runs = noisy(5)
    times = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30), size=3)
    start = search(CHINCHILLA, runs)[0][:1]
    _, together = minimise(CHINCHILLA, np.repeat(start, 3, axis=0), runs, times.astype(float))
    for row, cost in zip(times, together, strict=True):
        again = runs.subset(np.repeat(np.arange(30), row))
        assert cost == pytest.approx(
            minimise(CHINCHILLA, start, again, np.ones((1, 30)))[1][0], rel=1e-6
        )


def test_coefficients_end_at_zero_and_fixed_parameters_stay():
    x, y = XY
    log_loss = np.log(0.6 * np.exp(-0.4 * x) + 0.4 * np.exp(-0.3 * y)) + 0.02 * (x + y)
    runs = Runs(XY, log_loss)
    z, _ = search(CHINCHILLA, runs)
    assert (z >= CHINCHILLA.low).all() and (z <= CHINCHILLA.high).all()
    fixed = np.array([False, False, False, True, True])
    held, cost = minimise(CHINCHILLA, CHINCHILLA.starts, runs, np.ones((49, 30)), fixed=fixed)
    assert (held[:, 3:] == CHINCHILLA.starts[:, 3:]).all() and (
        cost >= search(CHINCHILLA, runs)[1][0] * (1 - 1e-6)
    ).all()
