"""The loss form: its parameters from exact, noisy and spoilt losses, its intervals, its rivals,
and its warnings.

Run alone: python -m pytest tests/reports/fits/test_scaling.py
"""

import numpy as np
import pytest
from scipy.optimize import least_squares

from reports.fits.huber import DELTA
from reports.fits.scaling import FORMS, Scaling, fit_scaling

BESIROGLU = (1.8172, 477.8, 2143.0, 0.3473, 0.3672)
"""E, A, B, α, β of Besiroglu et al. 2024 for Hoffmann et al.'s runs."""
HOFFMANN = (1.69, 406.4, 410.7, 0.3392, 0.2849)
SMALL = (2.0, 40.0, 300.0, 0.25, 0.45)


def loss(parameters, n, d):
    e, a, b, alpha, beta = parameters
    return e + a * n**-alpha + b * d**-beta


def grid(sizes: int = 9, tokens: int = 8) -> tuple[np.ndarray, np.ndarray]:
    n, d = np.meshgrid(np.geomspace(1e7, 1e10, sizes), np.geomspace(1e9, 1e12, tokens))
    return n.ravel(), d.ravel()


def isoflop(
    budgets: int = 6, sizes: int = 6, lowest: float = 1e18, highest: float = 1e21
) -> tuple[np.ndarray, np.ndarray]:
    """Sizes over a factor of 16 around N = sqrt(C/120), that is 20 tokens per parameter."""
    c, f = np.meshgrid(np.geomspace(lowest, highest, budgets), np.geomspace(1 / 4, 4, sizes))
    n = f * np.sqrt(c / 120)
    return n.ravel(), (c / 6 / n).ravel()


def fitted(n, d, y) -> Scaling:
    fit = fit_scaling(n, d, y)
    assert isinstance(fit, Scaling), fit
    return fit


def central(fit: Scaling) -> tuple[float, ...]:
    return tuple(v.value for v in (fit.E, fit.A, fit.B, fit.alpha, fit.beta))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("truth", "places"),
    [(BESIROGLU, grid()), (HOFFMANN, isoflop()), (SMALL, grid())],
    ids=["besiroglu-grid", "hoffmann-isoflop", "small-grid"],
)
def test_the_form_is_recovered_from_exact_losses(truth, places):
    n, d = places
    fit = fitted(n, d, loss(truth, n, d))
    assert central(fit) == pytest.approx(truth, rel=1e-3)
    assert fit.compute_exponent.value == pytest.approx(truth[4] / (truth[3] + truth[4]), rel=1e-3)
    assert fit.objective < 1e-10 and fit.warnings == () and fit.delta == DELTA == 1e-3
    assert fit.held_out["E + A/N^α + B/D^β"] == pytest.approx(1, abs=1e-4)
    assert min(error for name, error in fit.held_out.items() if not name.startswith("E +")) > 1.001


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.3, 0.8])
def test_a_few_spoilt_runs_hardly_move_it(factor):
    n, d = grid(7, 7)
    y = loss(BESIROGLU, n, d)
    y[::11] *= factor
    fit = fitted(n, d, y)
    assert fit.alpha.value == pytest.approx(
        BESIROGLU[3], rel=0.01
    ) and fit.E.value == pytest.approx(BESIROGLU[0], rel=0.01)

    def squares(v):
        return np.log(loss((v[0], np.exp(v[1]), np.exp(v[2]), v[3], v[4]), n, d) / y)

    theirs = least_squares(
        squares, (1.8, np.log(477.8), np.log(2143), 0.3473, 0.3672), x_scale=(1, 1, 1, 0.1, 0.1)
    )
    assert abs(theirs.x[3] / BESIROGLU[3] - 1) > 0.04, "least squares would have been moved"


def noisy(
    seed: int, truth=SMALL, spread: float = 0.004
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A small ladder, two seeds a cell."""
    n, d = (np.repeat(v, 2) for v in isoflop(5, 5, 1e14, 1e17))
    return (
        n,
        d,
        loss(truth, n, d) * np.exp(spread * np.random.default_rng(seed).standard_normal(len(n))),
    )


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    fits = [fitted(*noisy(seed)) for seed in range(8)]
    for k, name in enumerate(("E", "A", "B", "alpha", "beta")):
        held = [getattr(f, name).low <= SMALL[k] <= getattr(f, name).high for f in fits]
        assert np.mean(held) >= 0.75, name
    exponents = [f.compute_exponent for f in fits]
    assert np.mean([v.low <= SMALL[4] / (SMALL[3] + SMALL[4]) <= v.high for v in exponents]) >= 0.75
    assert np.median([v.high - v.low for v in exponents]) < 0.5, "and they say something"


@pytest.mark.slow
def test_seeds_lie_inside_cells_and_the_objective_is_a_sum():
    n, d, y = noisy(3)
    once, twice = fitted(n, d, y), fitted(*(np.tile(v, 2) for v in (n, d, y)))
    assert (once.cells, once.runs, twice.cells, twice.runs) == (25, 50, 25, 100)
    assert twice.objective == pytest.approx(2 * once.objective, rel=1e-6)
    assert twice.alpha == pytest.approx(once.alpha, rel=1e-3), (
        "the same cells again make no interval narrower"
    )
    assert len(once.draws) >= 200


@pytest.mark.slow
def test_the_same_runs_give_the_same_fit():
    first, second = fitted(*noisy(4)), fitted(*noisy(4))
    assert first.alpha == second.alpha and (first.draws == second.draws).all()


def kaplan(n, d):
    return ((8.8e13 / n) ** (0.076 / 0.095) + 5.4e13 / d) ** 0.095


RIVALS = {
    "E + A/N^α + B/D^β": lambda n, d: loss(BESIROGLU, n, d),
    "Kaplan et al.'s joint form": kaplan,
    "a levelling power law in N·D": lambda n, d: 1.5 + 500 * (n * d) ** -0.15,
}


@pytest.mark.slow
@pytest.mark.parametrize("truth", RIVALS)
def test_the_form_that_made_the_losses_foresees_them_best(truth):
    n, d = grid(6, 5)
    assert set(RIVALS) == set(FORMS)
    fit = fitted(n, d, RIVALS[truth](n, d))
    assert (
        min(fit.held_out, key=lambda name: fit.held_out[name]) == truth
        and fit.held_out[truth] < 1.0005
    )
    assert fit.held_out_cells >= 3


def line(n):
    return n, 20 * n * np.exp(0.05 * np.sin(np.arange(len(n))))


WEAK = {
    "few pairs": (isoflop(1, 7), SMALL),
    "nearly on one line": (line(np.geomspace(1e6, 1e9, 12)), SMALL),
    "value of E is 0": (grid(5, 5), (-0.3, 400.0, 300.0, 0.3, 0.3)),
    "value of β is the end": (grid(5, 5), (2.0, 40.0, 1e30, 0.25, 4.0)),
    "held out": (isoflop(2, 4), SMALL),
}


@pytest.mark.slow
@pytest.mark.parametrize("expected", WEAK)
def test_what_speaks_against_a_fit_is_said(expected):
    (n, d), truth = WEAK[expected]
    fit = fitted(n, d, loss(truth, n, d) * np.exp(0.001 * np.cos(5 * np.arange(len(n)))))
    assert any(expected in warning for warning in fit.warnings), fit.warnings


@pytest.mark.parametrize(("sizes", "tokens"), [(5, 1), (1, 9), (2, 9), (9, 2)])
def test_too_few_sizes_or_tokens_give_no_fit(sizes, tokens):
    n, d = grid(sizes, tokens)
    assert (
        fit_scaling(n, d, loss(SMALL, n, d))
        == "too few pairs of size and tokens for five parameters"
    )


def test_a_loss_without_a_curve_gives_no_fit():
    n, d = grid(4, 4)
    assert fit_scaling(n, d, np.full(16, 3.0)) == "the measure is 3 in every row: nothing to fit"
