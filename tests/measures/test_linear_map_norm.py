"""Norms of linear layers, convolutions and averages agree with those of their dense matrices.

Run alone: python -m pytest tests/measures/test_linear_map_norm.py
"""

import math
from typing import Any

import pytest
import torch
from torch import nn

from harness.measures import linear_map_norm
from harness.measures.linear_map_norm import torus_bound
from harness.measures.lipschitz_upper import Upper, upper
from tests.measures.linear_algebra import bound, exact_norm


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize(
    ("inputs", "outputs"), [(1, 1), (5, 1), (1, 7), (8, 8), (3, 40), (200, 60)]
)
def test_a_linear_layer_has_its_largest_singular_value(inputs: int, outputs: int, scale: float):
    layer = nn.Linear(inputs, outputs).double()
    layer.weight.data *= scale
    value = float(torch.linalg.svdvals(layer.weight.detach())[0])
    assert value * (1 - 1e-15) <= bound(layer, inputs) <= value * (1 + 1e-9)


@pytest.mark.parametrize(
    "scales", [(1.0,), (1.0, 1.0, 1.0, 1.0), (0.5, 3.0, 0.25), (1e-3, 1e3)], ids=str
)
@pytest.mark.parametrize("width", [1, 6, 50])
def test_orthogonal_layers_multiply_their_scales(width: int, scales: tuple[float, ...]):
    layers: list[nn.Module] = []
    for scale in scales:
        linear = nn.Linear(width, width).double()
        nn.init.orthogonal_(linear.weight, gain=scale)
        layers += [linear, nn.ReLU()]
    assert bound(nn.Sequential(*layers), width) == pytest.approx(math.prod(scales), rel=1e-6)


CONVOLUTIONS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv2d(1, 2, 3, padding=1), (1, 8, 8)),
    (nn.Conv2d(1, 1, 1), (1, 1, 1)),
    (nn.Conv2d(3, 5, 5, padding=2), (3, 7, 9)),
    (nn.Conv2d(4, 3, 3, stride=2, padding=1), (4, 9, 9)),
    (nn.Conv2d(2, 6, (3, 2), stride=(1, 3), padding=(0, 4), dilation=(2, 1)), (2, 11, 6)),
    (nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2), (4, 8, 8)),
    (nn.Conv2d(6, 6, 3, padding="same", groups=6), (6, 10, 10)),
    (nn.Conv2d(2, 3, 4, padding="same", dilation=2), (2, 8, 8)),
    (nn.Conv2d(2, 3, 2, padding="valid", stride=2), (2, 9, 9)),
    (nn.Conv2d(2, 3, 7), (2, 7, 7)),
    (nn.Conv2d(8, 10, 3, padding=1), (8, 9, 9)),
    (nn.Conv2d(3, 16, 5, stride=2, padding=2), (3, 12, 12)),
    (nn.Conv1d(2, 4, 5, padding=2), (2, 30)),
    (nn.Conv1d(2, 4, 5, padding=4, dilation=2), (2, 200)),
    (nn.Conv3d(2, 3, 3, padding=1), (2, 5, 4, 6)),
    (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 9, 9)),
    (nn.Conv2d(2, 3, 5, padding=2, padding_mode="reflect"), (2, 6, 9)),
    (nn.Conv2d(2, 6, 3, padding=1, padding_mode="replicate"), (2, 12, 12)),
]
"""A layer, the shape of its input."""


@pytest.fixture(params=[1, linear_map_norm.DENSE_NUMBERS], ids=["lanczos", "dense where small"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(linear_map_norm, "DENSE_NUMBERS", request.param)


@pytest.mark.slow
@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=str)
def test_a_convolution_has_the_norm_of_its_dense_matrix(layer: nn.Module, shape: tuple[int, ...]):
    for p in layer.parameters():
        nn.init.normal_(p)
    value = exact_norm(layer, *shape)
    assert value * (1 - 1e-12) <= bound(layer, *shape) <= value * (1 + 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=str)
def test_the_torus_bounds_a_zero_padded_convolution_without_iteration(
    layer: Any, shape: tuple[int, ...]
):
    if layer.padding_mode == "zeros":
        for p in layer.parameters():
            nn.init.normal_(p)
        assert exact_norm(layer, *shape) <= torus_bound(layer, layer.weight.detach(), shape[1:])


@pytest.mark.parametrize("n", [7, 12])
def test_the_torus_bound_is_the_norm_of_a_circular_convolution(n: int):
    """Circular padding makes real the torus of n × n cells that `torus_bound` assumes for a layer
    without padding."""
    circular, valid = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), nn.Conv2d(2, 3, 3)
    assert torus_bound(valid, circular.weight.detach(), (n, n)) == pytest.approx(
        exact_norm(circular.double(), 2, n, n), rel=1e-6
    )


def test_the_torus_bound_stands_in_for_a_lanczos_that_does_not_converge(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(linear_map_norm, "LANCZOS_RESTARTS", 1)
    monkeypatch.setattr(linear_map_norm, "LANCZOS_TOLERANCE", 1e-15)
    layer = nn.Conv2d(8, 10, 3, padding=1)
    found = upper(layer, (8, 16, 16))

    assert found.residual == 0 and found.note is None
    assert found.product == pytest.approx(torus_bound(layer, layer.weight.detach(), (16, 16)))
    circular = nn.Conv2d(8, 10, 3, padding=1, padding_mode="circular")
    assert upper(circular, (8, 16, 16)) == Upper(
        None, 0.0, "the product is not finite from Conv2d on"
    )


def test_a_convolution_that_sees_only_padding_has_the_torus_bound():
    layer = nn.Conv2d(1, 1, 1, stride=100, padding=1)
    assert bound(layer, 1, 40, 40) == pytest.approx(abs(float(layer.weight.detach())))


def test_a_kernel_of_one_number_is_the_identity():
    """Every singular value is 1, so Lanczos ends at its first step, and the torus bound is
    exact."""
    layer = nn.Conv2d(1, 1, 5, padding=2)
    nn.init.dirac_(layer.weight)
    assert bound(layer, 1, 40, 40) == pytest.approx(1, rel=1e-9)
    assert torus_bound(layer, layer.weight.detach(), (40, 40)) == pytest.approx(1, rel=1e-9)


AVERAGES: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.AvgPool2d(2), (3, 8, 8)),
    (nn.AvgPool2d((2, 3)), (1, 8, 9)),
    (nn.AvgPool2d(2, stride=3), (1, 9, 9)),
    (nn.AvgPool2d(3, stride=1), (1, 9, 9)),
    (nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), (1, 9, 9)),
    (nn.AvgPool2d(3, stride=2, ceil_mode=True), (1, 10, 10)),
    (nn.AvgPool2d(2, divisor_override=1), (1, 4, 4)),
    (nn.AvgPool1d(4, stride=2), (2, 16)),
]
"""A layer, the shape of its input."""


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(("layer", "shape"), AVERAGES, ids=str)
def test_an_average_has_the_norm_of_its_dense_matrix(layer: nn.Module, shape: tuple[int, ...]):
    value = exact_norm(layer, *shape)
    assert value * (1 - 1e-12) <= bound(layer, *shape) <= value * (1 + 1e-5)


def test_averages_over_disjoint_windows_are_bounded_without_iteration(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(linear_map_norm, "LANCZOS_RESTARTS", 1)
    monkeypatch.setattr(linear_map_norm, "LANCZOS_TOLERANCE", 0)
    assert bound(nn.AvgPool2d(2), 3, 40, 40) == pytest.approx(0.5) and bound(
        nn.AvgPool1d(9), 1, 4000
    ) == pytest.approx(1 / 3)
