"""Whether predicted probabilities are true: expected calibration error, negative log-likelihood and
Brier score.

K logits give probabilities by softmax. A scalar f that was fitted to a ±1 target by squared loss
estimates E[y|x], so that (1 + f)/2, cut off at 0 and 1, estimates the probability of +1; it is no
likelihood, and there is no NLL.

The expected calibration error is the one of Guo et al. 2017 (arXiv 1706.04599): over 15 equal bins
of the predicted label's probability, the mean distance between how probable the labels were said to
be and how many were right. This plug-in figure is biased upwards (Bröcker 2012; Kumar et al. 2019,
arXiv 1909.10155): of N samples of a perfectly calibrated forecast it is √(2/π) Σ √(N_b · mean of
p(1 − p) in bin b)/N on average, which is of order √(bins/N) and at most 0.4·√(15/N), 0.015 at N =
10 000. An error that small has a standard error that is too large, up to 1.7 times.

A model that was trained on noisy labels and is judged by clean ones is right more often than it
says: against clean labels the best possible forecast of labels like those it was trained on has an
error of R*, their Bayes error.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training.evaluation import wrong

BINS = 15
RESAMPLES = 200
"""Bootstrap replicates behind the standard error of the calibration error, which they give to
within 5 %."""
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
    """Each of M models judged. outputs: (M, N, K), or (M, N, 1) for a ±1 target; targets: (N,), or
    (M, N) for each its own.

    A real-valued target counts as its sign.
    """
    scores = [
        _scores(output, target, classes)
        for output, target in zip(outputs, targets.expand(outputs.shape[:2]), strict=True)
    ]
    errors = _calibration_errors(
        torch.stack([s.confidence for s in scores]), torch.stack([s.right for s in scores])
    )
    judged = []
    for (ece, ece_se), score in zip(errors, scores, strict=True):
        nll, nll_se = (None, None) if score.nll is None else mean_and_se(score.nll)
        judged.append(Calibration(ece, ece_se, nll, nll_se, *mean_and_se(score.brier)))
    return judged


class _Scores(NamedTuple):
    """One model's samples, (N,) each: the predicted label's probability, whether it is right,
    and the two proper scores."""

    confidence: Tensor
    right: Tensor
    nll: Tensor | None
    brier: Tensor


def _scores(output: Tensor, target: Tensor, classes: int | None) -> _Scores:
    right, output = ~wrong(output, target, classes), output.double()
    if classes is None:
        plus = ((1 + output[:, 0]) / 2).clamp(0, 1)
        return _Scores(
            torch.maximum(plus, 1 - plus), right, None, 2 * (plus - (target >= 0).double()).square()
        )
    log_probability = output.log_softmax(1)
    probability, of_label = log_probability.exp(), log_probability.gather(1, target[:, None])[:, 0]
    brier = probability.square().sum(1) - 2 * of_label.exp() + 1
    return _Scores(probability.max(1).values, right, -of_label, brier)


def bin_of(confidence: Tensor) -> Tensor:
    """Bins of probabilities, of the same shape: bin b holds those in (b/BINS, (b + 1)/BINS]."""
    return (confidence * BINS).ceil().long().clamp(1, BINS) - 1


def mean_and_se(values: Tensor) -> tuple[float, float]:
    """Mean of (N,) values and its standard error, NaN for a single one."""
    return float(values.mean()), (
        float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    )


def _calibration_errors(confidence: Tensor, right: Tensor) -> list[tuple[float, float]]:
    """From (M, N) of each: every model's error and its standard error, NaN for a single sample.

    The bootstrap is Rubin's (1981): instead of being drawn anew, every sample gets an exponentially
    distributed weight, which has the same mean and variance as the times that it would be drawn.
    The weights are the same for every model and in every call, so that a model's figures do not
    depend on its company.
    """
    models, n = confidence.shape
    gaps, generator = right.double() - confidence, torch.Generator().manual_seed(0)
    bins = bin_of(confidence)
    sums = torch.zeros(models, BINS).to(gaps)
    resampled = torch.zeros(models, RESAMPLES, BINS, device=gaps.device)
    size = torch.zeros(RESAMPLES, device=gaps.device)
    for begin in range(0, n, CHUNK):
        part = slice(begin, begin + CHUNK)
        by_bin = (
            torch.zeros(*gaps[:, part].shape, BINS)
            .to(gaps)
            .scatter_(2, bins[:, part, None], gaps[:, part, None])
        )
        weights = (
            torch.empty(RESAMPLES, by_bin.shape[1])
            .exponential_(generator=generator)
            .to(gaps.device)
        )
        sums += by_bin.sum(1)
        resampled += weights @ by_bin.float()
        size += weights.sum(1)
    spread = (resampled.abs().sum(2) / size).std(1) if n > 1 else torch.full((models,), math.nan)
    return list(zip((sums.abs().sum(1) / n).tolist(), spread.tolist(), strict=True))
