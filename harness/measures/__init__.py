"""Instruments: each one file, each a function beside its source; `measure` puts them together into columns."""

import dataclasses
import math
from typing import Any

import torch
from torch import nn

from harness.measures.boundary import WANDER_DIRECTIONS, attack, first_order
from harness.measures.gradients import gradient_norms
from harness.measures.input_noise import RADII, noise_response
from harness.task import Data, Seeds
from harness.training.loop import evaluate

MEASURE_POINTS = 256
STABILITY_CAP = 1.0
"""In data units. Two random points of the data lie about √2 apart, so a change of one unit is another input."""


def measure(model: nn.Module, data: Data, seeds: Seeds) -> dict[str, Any]:
    """Every measured column of a trained model, on the device it is on, in eval mode and float32 or better.

    Sensitivity is measured on held-out points, right or wrong, drawn from the trial's own `measure` stream.
    """
    model.eval()
    rows = torch.randperm(len(data.x_test), generator=seeds.generator("measure"))[:MEASURE_POINTS].to(data.x_test.device)
    x, y, unit = data.x_test[rows], data.y_test[rows], data.unit()
    starts = data.x_train[: 4 * MEASURE_POINTS]
    normal = torch.randn(x.shape, generator=seeds.generator("input_noise")).to(x)
    wander = torch.randn(WANDER_DIRECTIONS, *x.shape, generator=seeds.generator("wander")).to(x)
    scaled = InDataUnits(model, unit)
    linear = first_order(scaled, x / unit, data.classes, STABILITY_CAP)
    nearest = attack(scaled, x / unit, starts / unit, data.classes, STABILITY_CAP, wander)
    gradient = gradient_norms(model, x, data.classes, data.manifold == "unit-sphere")
    noisy = noise_response(model, x, y, data.classes, unit, normal)
    held_out = evaluate(model, data.x_test, data.y_test, data.classes)
    accuracy = 1 - held_out.error
    return {
        "test_loss": held_out.loss,
        "test_accuracy": accuracy,
        "test_accuracy_se": math.sqrt(accuracy * (1 - accuracy) / len(data.x_test)),
        "test_n": len(data.x_test),
        "data_unit": unit,
        "measure_points": len(x),
        "stability_cap": STABILITY_CAP,
        "stability_first_order_mean": linear.mean,
        "stability_first_order_median": linear.median,
        "stability_first_order_censored": linear.censored,
        "stability_attack_mean": nearest.mean,
        "stability_attack_se": nearest.se,
        "stability_attack_median": nearest.median,
        "stability_attack_censored": nearest.censored,
        "stability_attack_mean_l2": nearest.mean * unit,
        "gradient_of": "f" if data.classes is None else "margin",
        "lip_lower_grad": gradient.largest * unit,
        "lip_mean_grad": gradient.mean * unit,
        "lip_lower_grad_ambient": gradient.largest_ambient * unit,
        "lip_mean_grad_ambient": gradient.mean_ambient * unit,
        "noise_radii": list(RADII),
        "noise_accuracy": noisy.accuracy,
        "noise_accuracy_se": noisy.accuracy_se,
        "noise_flip_rate": noisy.flip_rate,
    }


class InDataUnits(nn.Module):
    """The model as a function of x / unit, so that distances come out in data units."""

    def __init__(self, model: nn.Module, unit: float):
        super().__init__()
        self.model, self.unit = model, unit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x * self.unit)


def on_device(data: Data, device: torch.device) -> Data:
    """The same data with its tensors on `device`."""
    tensors = ("x_train", "y_train", "x_test", "y_test")
    return dataclasses.replace(data, **{name: getattr(data, name).to(device) for name in tensors})
