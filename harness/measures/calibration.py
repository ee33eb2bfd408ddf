"""Measure how well predicted probabilities are calibrated, by expected calibration error, negative
log-likelihood (NLL) and Brier score.

K logits give probabilities by softmax. A scalar f that was fitted to a ±1 target by squared loss
estimates E[y|x], so (1 + f)/2, clipped to [0, 1], estimates the probability of +1. That is no
likelihood, so there is no NLL.

The expected calibration error is that of Guo et al. 2017 (arXiv 1706.04599): over 15 equal bins of
the predicted label's probability, the mean distance between the predicted probability and the share
of labels that were right. This plug-in figure is biased upwards (Bröcker 2012; Kumar et al. 2019,
arXiv 1909.10155): for N samples of a perfectly calibrated forecast it is √(2/π) Σ √(N_b · mean of
p(1 − p) in bin b)/N on average, which is of order √(bins/N) and at most 0.4·√(15/N), 0.015 at N =
10 000. The standard error of an error that small is too large, up to 1.7 times.

A model that was trained on noisy labels and is judged by clean ones is right more often than it
says. Against clean labels, the best possible forecast of such noisy labels has an error of R*,
their Bayes error.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training.evaluation import wrong

BINS = 15
RESAMPLES = 200
"""Number of bootstrap replicates, which gives the standard error of the calibration error to within
5 %."""
CHUNK = 1024
"""Held-out samples that are weighted at once, which bounds the memory."""


class Calibration(NamedTuple):
    """One model's figures over the held-out set, named as their columns. Standard errors are NaN
    for a single sample."""

    ece: float
    """Share of samples, 0 … 1."""
    ece_se: float
    nll: float | None
    """Nats; None for a ±1 target."""
    nll_se: float | None
    brier: float
    """Squared distance of the probabilities from the label, summed over classes (two for a ±1
    target): 0 … 2."""
    brier_se: float


@torch.no_grad()
def calibration(outputs: Tensor, targets: Tensor, classes: int | None) -> list[Calibration]:
    """Return the calibration of each of M models.

    outputs: (M, N, K), or (M, N, 1) for a ±1 target. targets: (N,), or (M, N) where each model has
    its own. A real-valued target counts as its sign.
    """
    scores = [
        _scores(output, target, classes)
        for output, target in zip(outputs, targets.expand(outputs.shape[:2]), strict=True)
    ]
    confidence = torch.stack([score.confidence for score in scores])
    right = torch.stack([score.right for score in scores])

    calibrations = []
    for error, score in zip(_calibration_errors(confidence, right), scores, strict=True):
        ece, ece_se = error
        nll, nll_se = (None, None) if score.nll is None else mean_and_se(score.nll)
        brier, brier_se = mean_and_se(score.brier)
        calibrations.append(Calibration(ece, ece_se, nll, nll_se, brier, brier_se))
    return calibrations


class _Scores(NamedTuple):
    """One model's samples, (N,) each."""

    confidence: Tensor
    """Probability of the predicted label."""
    right: Tensor
    """Bool: the predicted label is the target."""
    nll: Tensor | None
    brier: Tensor


def _scores(output: Tensor, target: Tensor, classes: int | None) -> _Scores:
    right = ~wrong(output, target, classes)
    output = output.double()
    if classes is None:
        plus = ((1 + output[:, 0]) / 2).clamp(0, 1)
        confidence = torch.maximum(plus, 1 - plus)
        brier = 2 * (plus - (target >= 0).double()).square()
        return _Scores(confidence, right, None, brier)

    log_probability = output.log_softmax(1)
    probability = log_probability.exp()
    of_target = log_probability.gather(1, target[:, None])[:, 0]
    brier = probability.square().sum(1) - 2 * of_target.exp() + 1
    return _Scores(probability.max(1).values, right, -of_target, brier)


def bin_of(confidence: Tensor) -> Tensor:
    """Return the bins of probabilities, in the same shape: bin b holds (b/BINS, (b + 1)/BINS]."""
    return (confidence * BINS).ceil().long().clamp(1, BINS) - 1


def mean_and_se(values: Tensor) -> tuple[float, float]:
    """Return the mean of (N,) values and its standard error, NaN for a single value."""
    mean = float(values.mean())
    se = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return mean, se


def _calibration_errors(confidence: Tensor, right: Tensor) -> list[tuple[float, float]]:
    """Return every model's error and its standard error, NaN for a single sample, from (M, N) of
    each.

    The bootstrap is Rubin's (1981): instead of being redrawn, every sample gets an exponentially
    distributed weight, which has the same mean and variance as the number of times that the sample
    would be drawn. The weights are the same for every model and in every call, so a model's figures
    do not depend on the models beside it.
    """
    models, n = confidence.shape
    gaps = right.double() - confidence
    bins = bin_of(confidence)
    generator = torch.Generator().manual_seed(0)

    sums = torch.zeros(models, BINS).to(gaps)
    resampled = torch.zeros(models, RESAMPLES, BINS, device=gaps.device)
    size = torch.zeros(RESAMPLES, device=gaps.device)
    for begin in range(0, n, CHUNK):
        gap = gaps[:, begin : begin + CHUNK]
        by_bin = torch.zeros(*gap.shape, BINS).to(gaps)
        by_bin.scatter_(2, bins[:, begin : begin + CHUNK, None], gap[:, :, None])
        weights = torch.empty(RESAMPLES, gap.shape[1]).exponential_(generator=generator)
        weights = weights.to(gaps.device)
        sums += by_bin.sum(1)
        resampled += weights @ by_bin.float()
        size += weights.sum(1)

    errors = sums.abs().sum(1) / n
    if n > 1:
        spread = (resampled.abs().sum(2) / size).std(1)
    else:
        spread = torch.full((models,), math.nan)
    return list(zip(errors.tolist(), spread.tolist(), strict=True))
