"""Lipschitz constants of nonlinear layers: maxima over windows, and functions of single numbers.

Run alone: python -m pytest tests/measures/test_layer_constants.py
"""

import math

import pytest
import torch
from torch import nn

from harness.training.stack import ELEMENTWISE
from tests.measures.linear_algebra import bound, largest_quotient


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


POOLS: list[tuple[nn.Module, tuple[int, ...], float]] = [
    (nn.MaxPool2d(2), (3, 8, 8), 1),
    (nn.MaxPool2d(2, stride=3), (1, 9, 9), 1),
    (nn.MaxPool2d(3, stride=1), (1, 9, 9), 3),
    (nn.MaxPool2d(3, stride=2, padding=1), (1, 9, 9), 2),
    (nn.MaxPool2d((3, 2), stride=(1, 2)), (1, 9, 8), math.sqrt(3)),
    (nn.MaxPool2d(3, stride=2, dilation=2), (1, 15, 15), 3),
    (nn.MaxPool2d(2, stride=2, dilation=3), (1, 12, 12), 1),
    (nn.MaxPool2d(3, stride=2, ceil_mode=True), (1, 10, 10), 2),
    (nn.MaxPool1d(4, stride=2), (2, 16), math.sqrt(2)),
]
"""A layer, the shape of its input, its Lipschitz constant."""


@pytest.mark.parametrize(("layer", "shape", "constant"), POOLS, ids=str)
def test_a_maximum_over_windows_counts_the_windows_of_an_input(
    layer: nn.Module, shape: tuple[int, ...], constant: float
):
    """The bound is reached by a lone input, which is the maximum of all its windows."""
    assert bound(layer, *shape) == pytest.approx(constant)
    spikes = torch.eye(math.prod(shape)).reshape(-1, *shape)
    assert largest_quotient(layer, spikes, torch.zeros_like(spikes)) == pytest.approx(constant)
    assert largest_quotient(layer, torch.randn(500, *shape), torch.randn(500, *shape)) <= constant


SLOPES: list[nn.Module] = [
    nn.Identity(),
    nn.ReLU(),
    nn.LeakyReLU(0.2),
    nn.LeakyReLU(-3.0),
    nn.ELU(),
    nn.ELU(2.5),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.Softplus(),
    nn.Softplus(beta=3.0, threshold=30.0),
]


@pytest.mark.slow
@pytest.mark.parametrize("layer", SLOPES, ids=str)
def test_an_elementwise_function_has_its_steepest_slope(layer: nn.Module):
    """On a grid the slope never exceeds the bound, and somewhere comes within 10⁻⁴ of it."""
    x = torch.linspace(-30, 30, 600_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(layer(x).sum(), x)
    steepest = float(slope.abs().max())
    assert steepest <= bound(layer, 1) * (1 + 1e-12) and bound(layer, 1) == pytest.approx(
        steepest, rel=1e-4
    )


def test_every_function_that_can_be_stacked_has_a_slope():
    assert set(ELEMENTWISE) == {type(layer) for layer in SLOPES}
