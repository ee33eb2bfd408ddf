"""The training radius: the largest ℓ2 radius at which a model's robust 0-1 error on its own noisy
training points is at most R*/2.

    training_radius(distance, bayes_error=0.5, of=512, cap=1.0).radius

The robust error at radius r is the share of training points that have an input with a wrong answer
nearer than r. With m points and k = ⌊m·R*/2⌋ it is at most R*/2 up to the (k + 1)-th smallest
distance, and no further: this order statistic is the training radius. A point that is answered
wrongly itself has distance 0, so a model whose 0-1 error exceeds R*/2 has radius 0.

The quantity is the project's own; its hypothesis, R* and label noise, are those of the law's
classification form (von Berg et al. 2026, arXiv 2603.02806). docs/instruments.md says what enters.
"""

import math
from typing import NamedTuple

import torch
from scipy.special import betainc  # not scipy.stats, whose import takes a second
from torch import Tensor

ROUNDING = 1e-9
"""m·R*/2 counts as a whole number when it is this near to one."""


class TrainingRadius(NamedTuple):
    """The training radius of one model, in the unit of the distances, and its standard error over
    the draw of training points."""

    radius: float
    se: float


def training_radius(distance: Tensor, bayes_error: float, of: int, cap: float) -> TrainingRadius:
    """Return the R*/2-quantile of the distances (m,) from training points to a wrong answer, each
    counted as at most `cap`.

    The m points are a draw without replacement from the model's `of` training points. The standard
    error is that of the order statistic under the bootstrap, computed exactly (Maritz & Jarrett
    1978), times √(1 − m/of): it is 0 when every training point was measured.
    """
    ordered = distance.double().clamp(max=cap).sort().values.cpu()
    m = len(ordered)
    k = math.floor(m * bayes_error / 2 + ROUNDING)

    # The probability that the (k + 1)-th smallest of a bootstrap sample is the i-th smallest here.
    rises = betainc(k + 1, m - k, torch.arange(m + 1).double().div(m).numpy())
    weights = torch.from_numpy(rises).diff()

    mean = float(weights @ ordered)
    variance = float(weights @ (ordered - mean).square())
    return TrainingRadius(float(ordered[k]), math.sqrt(variance * (1 - m / of)))
