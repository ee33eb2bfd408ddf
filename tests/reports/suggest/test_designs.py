"""The expected half-widths are those of closed forms and simulations, and greedy choice spends its
budget where the interval narrows most.

Run alone: python -m pytest tests/reports/suggest/test_designs.py
"""

import numpy as np
import pytest
from scipy.stats import t

from reports.fits.random_slope import curve_slopes, mean_slope
from reports.suggest.greedy import greedy
from reports.suggest.slope_design import Place, SlopeDesign
from reports.suggest.surface_design import Surface, SurfaceDesign

SURFACE = Surface(1.7, 400.0, 400.0, 0.34, 0.28, sigma=0.005)
X = np.log(100.0 * 2 ** np.arange(5))


def curves(count: int) -> list[Place]:
    return [Place(curve, x, 2) for curve in range(count) for x in X]


def test_a_slopes_half_width_is_that_of_repeated_fits():
    tau, noise, count = 0.05, 0.1, 4
    rng = np.random.default_rng(0)
    slopes = 0.2 + tau * rng.standard_normal((4000, count))
    y = np.concatenate([slopes[:, [j]] * X for j in range(count)], axis=1)
    y += noise / 2**0.5 * rng.standard_normal(y.shape)  # cells of two trials
    members = [np.arange(5) + 5 * j for j in range(count)]
    found = mean_slope(curve_slopes(np.tile(X, count), y, np.full(5 * count, 2.0), members))
    assert found is not None

    design = SlopeDesign.of(curves(count), tau**2, noise**2, [])
    spread = found.slope.std()
    assert design.half_width() == pytest.approx(t.ppf(0.975, count - 1) * spread, rel=0.05)


def test_only_more_curves_help_where_curves_differ():
    """Without noise, a size adds nothing; a curve does."""
    moves = [[Place(0, 9.0, 2)], [Place(4, x, 2) for x in X]]
    design = SlopeDesign.of(curves(4), 0.1**2, 1e-12, moves)
    assert design.after(0).half_width() == pytest.approx(design.half_width())
    assert design.after(1).half_width() < 0.85 * design.half_width()
    assert greedy(design, [1.0, 100.0], 150)[0][0] == 1


def test_far_sizes_help_more_than_near_ones_where_noise_counts():
    near, far = [Place(0, X[3], 2)], [Place(0, X[4] + 2, 2)]
    design = SlopeDesign.of(curves(3), 0.0, 0.1**2, [near, far])
    assert greedy(design, [1.0, 1.0], 1)[0] == [1]
    assert greedy(design, [1.0, 50.0], 1)[0] == [0], "what the budget cannot pay is not chosen"


def test_an_exact_exponent_needs_no_more_trials():
    move = [Place(0, X[4] + 2, 2)]
    exact = SlopeDesign.of(curves(3), 0.0, 0.0, [move])
    assert greedy(exact, [1.0], 1) == ([], exact)
    first = SlopeDesign.of(curves(2), 0.0, 0.0, [[Place(2, x, 2) for x in X], move])
    assert greedy(first, [1.0, 1.0], 2)[0] == [0], "from no interval to an exact one"


def test_too_few_curves_or_runs_determine_nothing():
    assert SlopeDesign.of(curves(2), 0.1, 0.1, []).half_width() == np.inf
    few = np.array([1e6, 1e7, 1e8])
    assert SurfaceDesign.of(SURFACE, "alpha", (few, few), (few, few)).half_width() == np.inf


def test_the_jacobian_is_that_of_differences():
    n, d = np.array([1e7, 3e8]), np.array([1e9, 2e10])
    steps = {"E": 1e-6, "A": 1e-6, "B": 1e-6, "alpha": 1e-7, "beta": 1e-7}
    for column, (name, step) in enumerate(steps.items()):
        value = getattr(SURFACE, name)
        moved = value * np.exp(step) if name in "AB" else value + step
        change = SURFACE._replace(**{name: moved}).log_loss(n, d) - SURFACE.log_loss(n, d)
        assert SURFACE.jacobian(n, d)[:, column] == pytest.approx(change / step, rel=1e-4)


def test_the_compute_exponents_gradient_is_that_of_differences():
    alpha, beta, step = SURFACE.alpha, SURFACE.beta, 1e-7
    gradient = SURFACE.gradient("compute")
    by_alpha = (beta / (alpha + step + beta) - beta / (alpha + beta)) / step
    by_beta = ((beta + step) / (alpha + beta + step) - beta / (alpha + beta)) / step
    assert gradient[3:] == pytest.approx([by_alpha, by_beta], rel=1e-5)


def test_more_tokens_narrow_beta_and_larger_models_alpha():
    n, d = (
        axis.ravel() for axis in np.meshgrid(1e7 * 3.0 ** np.arange(4), 1e9 * 3.0 ** np.arange(4))
    )
    moves = (np.array([n.max() * 3, n.max()]), np.array([d.max(), d.max() * 3]))
    first = {
        exponent: greedy(SurfaceDesign.of(SURFACE, exponent, (n, d), moves), [1.0, 1.0], 1)[0]
        for exponent in ("alpha", "beta")
    }
    assert first == {"alpha": [0], "beta": [1]}
