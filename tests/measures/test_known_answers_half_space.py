"""A half-space through the mean of the inputs: S in raw ℓ2 is E|⟨u, x⟩|, known exactly.

Run alone: python -m pytest tests/measures/test_known_answers_half_space.py
"""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harness.measures import measure
from harness.noise import Noise
from harness.task import Data, Seeds
from harness.training.stack import Alone

POINTS = 2000
FEW = 8
STANDARD_ERRORS = 4


@pytest.mark.slow
@pytest.mark.parametrize("d", [4, 32])
@pytest.mark.parametrize("on_sphere", [False, True], ids=["gaussian", "sphere"])
def test_s_of_a_half_space(d: int, on_sphere: bool):
    draw = torch.Generator().manual_seed(d)
    x = torch.randn(POINTS, d, generator=draw) / math.sqrt(d)
    exact = math.sqrt(2 / (math.pi * d))
    if on_sphere:
        x = F.normalize(x, dim=1)
        exact = math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)

    model = nn.Linear(d, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(3 * torch.eye(d)[:1])
    y = torch.where(x[:, 0] >= 0, 1.0, -1.0)
    data = Data(
        x[:64],
        y[:64],
        x,
        y,
        Noise("none", 0.0, 0.0),
        None,
        "unit-sphere" if on_sphere else "euclidean",
    )
    (measured,) = measure(Alone(model), [data], [Seeds(0)], (POINTS, 0, FEW))
    c = measured.columns

    se = c["stability_attack_se"] * c["data_unit"]
    assert c["stability_attack_censored"] < 0.06, "uncapped but for rare points"
    beyond = x[:, 0].abs().clamp(min=c["data_unit"]) - c["data_unit"]
    uncapped = c["stability_attack_mean_l2"] + float(beyond.mean())
    assert uncapped == pytest.approx(float(x[:, 0].abs().mean()), rel=1e-3)
    assert abs(uncapped - exact) < STANDARD_ERRORS * se
