"""What a measure follows, parameters, tokens or their ratio: planted truths come back, doubt is
said, and a wrong answer is rare.

Run alone: python -m pytest tests/reports/fits/test_plane.py
"""

import numpy as np
import pytest

from reports.fits.plane import FLAT, SIZE, UNKNOWN, Plane, fit_plane, held_out
from tests.benchmarks.sensitivity_ladder import CELLS, STEP, TRUTHS, planted, said

N, D = (v.ravel() for v in np.meshgrid(1e4 * STEP ** np.arange(5), 3e5 * STEP ** np.arange(5)))


@pytest.mark.parametrize("answer", TRUTHS)
def test_planted_truths_come_back(answer: str):
    plane = planted(answer, 0.01, 0.0, np.random.default_rng(1))
    assert plane.follows == answer and plane.cells == CELLS**2
    for interval, truth in zip((plane.by_size, plane.by_tokens), TRUTHS[answer], strict=True):
        assert interval.low - 0.01 <= truth <= interval.high + 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "shared"), [(0.05, 0.0), (0.1, 0.1), (0.4, 0.0)])
@pytest.mark.parametrize("answer", TRUTHS)
def test_a_wrong_answer_is_rare(answer: str, noise: float, shared: float):
    found = said(answer, noise, shared, draws=40)
    assert found.wrong <= 0.05 and found.at_loss_wrong <= 0.1
    if noise == 0.4:
        assert found.unknown >= 0.9


def test_a_scatter_that_sizes_share_leaves_the_answer_open():
    apart = 0.5 * np.array([1, -1, 0.5, -1, 1])[np.log(N / 1e4).round(3).argsort().argsort() // 5]
    plane = fit_plane(N, D, np.exp(0.2 * np.log(N) + apart))
    assert isinstance(plane, Plane) and plane.follows == UNKNOWN
    assert plane.by_size.low < 0 < plane.by_size.high
    assert np.ptp(plane.by_tokens[1:]) < 1e-6


def test_at_a_given_loss_size_counts_where_tokens_alone_decide():
    loss = 2 + 30 * N**-0.4 + 90 * D**-0.3
    plane = fit_plane(N, D, D**0.3, loss)
    assert isinstance(plane, Plane) and plane.at_loss and plane.at_loss.high < 0
    level = fit_plane(N, D, loss**-2.0, loss)
    assert isinstance(level, Plane) and level.at_loss
    assert level.at_loss.value == pytest.approx(0, abs=1e-9)


def test_the_fitted_values_are_those_of_the_power_law():
    plane = fit_plane(N, D, 3 * N**0.1 * D**-0.2)
    assert isinstance(plane, Plane)
    assert plane.at(N, D) == pytest.approx(3 * N**0.1 * D**-0.2)


def test_runs_without_a_value_are_left_out():
    y = N**0.2
    y[:3] = np.nan, 0.0, -1.0
    plane = fit_plane(N, D, y)
    assert isinstance(plane, Plane) and plane.follows == SIZE and plane.used.sum() == 22


def test_why_there_is_no_fit_is_said():
    assert fit_plane(N[:8], D[:8], N[:8]) == "too few pairs of size and tokens"
    assert fit_plane(N, np.full_like(D, 1e6), N) == "too few pairs of size and tokens"
    assert fit_plane(N, 20 * N * (1 + 1e-3 * D / D.max()), N) == (
        "sizes and tokens lie nearly on one line"
    )


def test_the_true_form_foresees_the_largest_cells():
    rng = np.random.default_rng(2)
    noise = np.exp(0.02 * rng.standard_normal(len(N)))
    ratio, out = held_out(N, D, (D / N) ** 0.3 * noise)
    assert out == 6 and min(ratio, key=lambda form: ratio[form]) in ("(D/N)^c", "N^a·D^b")
    assert ratio["N^a"] > 1.2 > ratio["(D/N)^c"]

    rising = 1 / (1 + 40 * N**-0.5 + 300 * D**-0.5)
    levels, _ = held_out(N, D, rising)
    assert levels["E + A/N^α + B/D^β"] < 1.001 < levels["N^a·D^b"]


def test_a_measure_that_stays_the_same_is_flat():
    plane = fit_plane(N, D, np.exp(0.02 * np.random.default_rng(0).standard_normal(len(N))))
    assert isinstance(plane, Plane) and plane.follows == FLAT
