"""Calibration error, likelihood and Brier score: by hand, for forecasts of known quality, and with
standard errors that hold.

Run alone: python -m pytest tests/measures/test_calibration.py
"""

import math
import warnings

import pytest
import torch
from torch import Tensor

from harness.measures.calibration import BINS, Calibration, calibration


def logits(*rows: list[float]) -> Tensor:
    """Return (1, N, K) logits with these probabilities."""
    return torch.tensor([rows], dtype=torch.double).log()


def judged(output: Tensor, target: list[float] | list[int], classes: int | None) -> Calibration:
    (found,) = calibration(output, torch.tensor(target), classes)
    return found


def forecasts(
    models: int, n: int, classes: int, seed: int, sharpness: float = 1.0, spread: float = 1.5
) -> tuple[Tensor, Tensor]:
    """Return the logits of `models` independent forecasters, and labels drawn from the softmax of
    sharpness · logits. A sharpness of 1 is calibrated."""
    draw = torch.Generator().manual_seed(seed)
    z = spread * torch.randn(models, n, classes, generator=draw)
    labels = torch.multinomial((sharpness * z).softmax(2).flatten(0, 1), 1, generator=draw).reshape(
        models, n
    )
    return z, labels


def as_scalar(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return two-class logits as f = 2 P(+1) − 1, and labels as ±1."""
    return 2 * z.softmax(2)[..., 1:] - 1, 2.0 * labels - 1


# By hand


def test_two_bins_by_hand():
    """Three forecasts of 0.9 with one wrong, two of 0.5 + with one wrong: gaps of 0.7 and 0.04
    in all."""
    found = judged(
        logits([0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.52, 0.48], [0.48, 0.52]), [0, 0, 0, 0, 0], 2
    )
    assert found.ece == pytest.approx((abs(2 - 2.7) + abs(1 - 1.04)) / 5)

    nll = [-math.log(p) for p in (0.9, 0.9, 0.1, 0.52, 0.48)]
    brier = [2 * (1 - p) ** 2 for p in (0.9, 0.9, 0.1, 0.52, 0.48)]
    for mean, se, values in ((found.nll, found.nll_se, nll), (found.brier, found.brier_se, brier)):
        scores = torch.tensor(values, dtype=torch.double)
        assert (mean, se) == pytest.approx(
            (float(scores.mean()), float(scores.std()) / math.sqrt(5))
        )


def test_gaps_cancel_within_a_bin_and_add_up_across_bins():
    """0.61 and 0.65 lie in the bin from 9/15 to 10/15, 0.71 in the next but one."""
    within = judged(logits([0.61, 0.39], [0.35, 0.65]), [0, 0], 2)
    across = judged(logits([0.61, 0.39], [0.29, 0.71]), [0, 0], 2)
    assert within.ece == pytest.approx(abs((1 - 0.61) - 0.65) / 2)
    assert across.ece == pytest.approx(((1 - 0.61) + 0.71) / 2)


def test_a_probability_of_one_falls_in_the_last_bin():
    found = judged(torch.tensor([[[1.0], [0.94]]]), [-1.0, 1.0], None)
    assert found.ece == pytest.approx((1.0 - 0.03) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("rows", "labels", "brier"),
    [
        ([[0.7, 0.2, 0.1]], [0], 0.3**2 + 0.2**2 + 0.1**2),
        ([[0.7, 0.2, 0.1]], [2], 0.7**2 + 0.2**2 + 0.9**2),
        ([[1 / 3, 1 / 3, 1 / 3]] * 2, [1, 2], 2 / 3),
    ],
)
def test_brier_is_summed_over_classes(rows: list[list[float]], labels: list[int], brier: float):
    found = judged(logits(*rows), labels, 3)
    assert found.brier == pytest.approx(brier)
    assert found.nll == pytest.approx(
        -sum(math.log(row[y]) for row, y in zip(rows, labels, strict=True)) / len(rows)
    )


@pytest.mark.parametrize(
    ("right", "ece", "brier", "nll"), [(True, 0.0, 0.0, 0.0), (False, 1.0, 2.0, 200.0)]
)
def test_certain_forecasts(right: bool, ece: float, brier: float, nll: float):
    """Logits so far apart that float32 probabilities are 0 and 1: the likelihood stays finite."""
    z = torch.tensor([[[200.0, 0.0], [0.0, 200.0]]])
    found = judged(z, [0, 1] if right else [1, 0], 2)
    assert (found.ece, found.brier, found.nll) == pytest.approx((ece, brier, nll), abs=1e-12)
    assert (found.ece_se, found.brier_se, found.nll_se) == pytest.approx((0, 0, 0), abs=1e-6)


@pytest.mark.parametrize(
    ("f", "y", "ece", "brier"),
    [
        (0.6, 1.0, 0.2, 2 * 0.2**2),
        (0.6, -1.0, 0.8, 2 * 0.8**2),
        (-0.6, -1.0, 0.2, 2 * 0.2**2),
        (0.0, 1.0, 0.5, 0.5),
        (0.0, -1.0, 0.5, 0.5),
        (1.7, 1.0, 0.0, 0.0),
        (-1.7, 1.0, 1.0, 2.0),
        (0.6, 0.03, 0.2, 2 * 0.2**2),
        (0.6, -2.5, 0.8, 2 * 0.8**2),
    ],
)
def test_scalar_outputs_by_hand(f: float, y: float, ece: float, brier: float):
    """P(+1) = (1 + f)/2, clipped. A real-valued target counts as its sign. There is no
    likelihood."""
    found = judged(torch.full((1, 4, 1), f), [y] * 4, None)
    assert (found.ece, found.brier) == pytest.approx((ece, brier), rel=1e-6)
    assert (found.nll, found.nll_se) == (None, None)


def test_a_scalar_and_its_two_classes_agree():
    z, labels = forecasts(3, 1000, 2, seed=0)
    f, signs = as_scalar(z, labels)
    for one, two in zip(calibration(f, signs, None), calibration(z, labels, 2), strict=True):
        assert (one.ece, one.ece_se, one.brier, one.brier_se) == pytest.approx(
            (two.ece, two.ece_se, two.brier, two.brier_se), rel=1e-4
        )


# What forecasts are worth


@pytest.mark.slow
def test_a_calibrated_forecasts_error_is_its_known_bias():
    """On average √(2/π) Σ_b √(Σ p(1 − p) in bin b) / N, and never above the bound of order
    √(bins/N)."""
    n = 4000
    z, labels = forecasts(60, n, 3, seed=1)
    confidence = z.softmax(2).max(2).values
    edges = torch.linspace(0, 1, BINS + 1)
    variances = [
        (confidence * (1 - confidence) * ((confidence > a) & (confidence <= b))).sum(1)
        for a, b in zip(edges, edges[1:], strict=False)
    ]
    bias = float(math.sqrt(2 / math.pi) * torch.stack(variances).sqrt().sum(0).mean()) / n
    mean = sum(found.ece for found in calibration(z, labels, 3)) / 60

    assert mean == pytest.approx(bias, rel=0.07)
    assert mean < 0.4 * math.sqrt(BINS / n)


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.6, 0.95])
@pytest.mark.parametrize("truth", [0.3, 0.5])
def test_an_over_confident_forecasts_error_is_the_gap(p: float, truth: float):
    n = 20_000
    labels = (torch.rand(n, generator=torch.Generator().manual_seed(2)) > truth).long()
    found = calibration(logits(*[[p, 1 - p]] * n), labels, 2)[0]
    assert found.ece == pytest.approx(p - truth, abs=4 * math.sqrt(truth * (1 - truth) / n))
    assert found.ece_se == pytest.approx(math.sqrt(truth * (1 - truth) / n), rel=0.15)

    nll = -truth * math.log(p) - (1 - truth) * math.log(1 - p)
    brier = 2 * (truth * (1 - p) ** 2 + (1 - truth) * p**2)
    assert found.nll is not None and found.nll_se is not None
    assert (found.nll, found.brier) == (
        pytest.approx(nll, abs=4 * found.nll_se),
        pytest.approx(brier, abs=4 * found.brier_se),
    )


def test_sharper_logits_than_the_truth_cost_in_every_figure():
    z, labels = forecasts(1, 5000, 10, seed=3)
    calibrated, sharp, dull = (calibration(scale * z, labels, 10)[0] for scale in (1.0, 3.0, 0.3))
    for wrong in (sharp, dull):
        assert wrong.ece > 0.1 > 5 * calibrated.ece
        assert wrong.brier > calibrated.brier
        assert wrong.nll is not None and calibrated.nll is not None and wrong.nll > calibrated.nll


@pytest.mark.parametrize("eta", [0.1, 0.3])
def test_against_clean_labels_a_forecast_of_noisy_ones_is_off_by_the_bayes_error(eta: float):
    signs = torch.where(torch.arange(1000) % 3 == 0, 1.0, -1.0)
    found = calibration(((1 - 2 * eta) * signs)[None, :, None], signs, None)[0]
    assert found.ece == pytest.approx(eta, rel=1e-5)


# Standard errors

REPEATS = 300
"""Fresh samples behind an empirical standard deviation, which is then known to within 4 %."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "classes", "scalar"),
    [(200, 2, True), (200, 10, False), (2000, 2, False), (2000, 2, True)],
)
def test_standard_errors_are_the_spread_over_fresh_samples(n: int, classes: int, scalar: bool):
    """They agree within 15 %, for forecasts three times too sharp."""
    z, labels = forecasts(REPEATS, n, classes, seed=4, sharpness=1 / 3, spread=3.0)
    found = calibration(*as_scalar(z, labels), None) if scalar else calibration(z, labels, classes)
    for name in ("ece", "brier") if scalar else ("ece", "nll", "brier"):
        values, errors = (
            torch.tensor([getattr(f, column) for f in found]) for column in (name, f"{name}_se")
        )
        assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.15), name


@pytest.mark.slow
def test_the_standard_error_of_a_calibrated_forecast_is_too_large_by_at_most_the_stated_factor():
    found = calibration(*forecasts(REPEATS, 2000, 3, seed=5), 3)
    spread = float(torch.tensor([f.ece for f in found]).std())
    mean = sum(f.ece_se for f in found) / REPEATS
    assert spread < mean < 1.7 * spread


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 1500])
def test_resampling_is_a_bootstrap(n: int):
    """Weights give the same standard error as redrawing the samples, for more samples than a chunk
    holds and for a few."""
    z, labels = forecasts(1, n, 2, seed=6, sharpness=0.2)
    draw = torch.Generator().manual_seed(7)
    rows = torch.randint(n, (1000, n), generator=draw)
    anew = torch.tensor([f.ece for f in calibration(z[0][rows], labels[0][rows], 2)])
    assert calibration(z, labels, 2)[0].ece_se == pytest.approx(
        float(anew.std()), rel=0.15 if n > 3 else 0.4
    )


# Whose figures


def test_figures_do_not_depend_on_other_models_and_are_reproducible():
    z, labels = forecasts(3, 1500, 4, seed=8)
    together = calibration(z, labels, 4)
    assert together == calibration(z, labels, 4)
    for m in range(3):
        assert calibration(z[m : m + 1], labels[m], 4)[0] == pytest.approx(together[m], rel=1e-5)
    assert len({found.ece_se for found in together}) == 3


def test_targets_may_be_shared_or_each_models_own():
    z, labels = forecasts(2, 500, 4, seed=9)
    shared = calibration(z, labels[0], 4)
    assert shared == calibration(z, labels[:1].expand(2, 500), 4)
    assert shared[0] == calibration(z, labels, 4)[0] and shared[1] != calibration(z, labels, 4)[1]


def test_a_single_sample_has_no_standard_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = judged(logits([0.9, 0.1]), [0], 2)
    assert found.ece == pytest.approx(0.1)
    assert found.nll_se is not None and all(
        math.isnan(se) for se in (found.ece_se, found.nll_se, found.brier_se)
    )
