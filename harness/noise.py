"""Label noise of a known level, and what it says about the law's noise terms (σ², R*).

Real labels carry unknown noise, so the harness injects its own; the natural noise comes on top,
which makes σ² and R* here lower bounds on the true ones (Bubeck & Sellke 2021, arXiv 2105.12806,
Theorem 3; for classes von Berg et al. 2026, arXiv 2603.02806).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

NoiseKind = Literal["none", "label_flip", "label_resample", "target_resample", "additive_sign"]


@dataclass(frozen=True)
class Noise:
    """The noise injected into the labels, and its level. `sigma2` exists for ±1 targets only;
    `bayes_error` is that of the label, for a ±1 target that of its sign."""

    kind: NoiseKind
    eta: float | None
    bayes_error: float
    sigma2: float | None = None

    @property
    def level(self) -> float:
        """The quantity that a fit has to get below: σ² for ±1 targets, R* for classes."""
        return self.bayes_error if self.sigma2 is None else self.sigma2

    @property
    def epsilon(self) -> float:
        """Half the noise level: the harness's one ε rule, the same for every family."""
        return self.level / 2


def flip_labels(y: Tensor, eta: float, generator: torch.Generator) -> tuple[Tensor, Noise]:
    """Flip each ±1 label with probability `eta` ≤ 1/2: σ² = 4η(1−η), R* = η.

    y: (n,) of ±1. The labels returned have the same shape.
    """
    flipped = torch.rand(len(y), generator=generator) < eta
    noise = Noise("label_flip" if eta > 0 else "none", eta, eta, sigma2=4 * eta * (1 - eta))
    return torch.where(flipped, -y, y), noise


def resample_labels(
    y: Tensor,
    classes: int,
    eta: float,
    generator: torch.Generator,
    kind: Literal["label_resample", "target_resample"] = "label_resample",
) -> tuple[Tensor, Noise]:
    """Redraw each label uniformly from all K `classes` with probability `eta`: R* = η(1 − 1/K).

    y: (n,) int64. `kind` is the noise's name in the rows: label_resample for labels of images,
    target_resample for the target tokens of windows.
    """
    redrawn = torch.rand(len(y), generator=generator) < eta
    fresh = torch.randint(classes, (len(y),), generator=generator)
    noise = Noise(kind if eta > 0 else "none", eta, eta * (1 - 1 / classes))
    return torch.where(redrawn, fresh, y), noise
