"""Counts of parameters and FLOPs agree with formulas: groups sum to numel, tied weights count once,
also on the meta device.

Run alone: python -m pytest tests/measures/test_counts.py
"""

import pytest
import torch
from torch import Tensor, nn

from harness.measures.counts import Group, count_parameters, count_saved_bytes, count_training_flops
from tasks.models import MadryCNN, mlp


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5, bias=False))
    model[1].weight = model[0].weight
    return model


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    return model


class Own(nn.Module):
    """A module with parameters of its own beside those of its parts."""

    def __init__(self):
        super().__init__()
        self.scale, self.fixed = (
            nn.Parameter(torch.ones(3)),
            nn.Parameter(torch.ones(2), requires_grad=False),
        )
        self.body = nn.Linear(3, 2)
        self.register_buffer("buffer", torch.ones(100))


COUNTS = {
    "linear": (lambda: nn.Linear(3, 4), 16, 0, [Group("parameters", 16, 0)]),
    "two layers": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)),
        26,
        0,
        [Group("0", 16, 0), Group("2", 10, 0)],
    ),
    "tied once, in the first group": (tied, 30, 0, [Group("0", 30, 0)]),
    "frozen apart": (frozen, 10, 16, [Group("0", 0, 16), Group("1", 10, 0)]),
    "own parameters, no buffers": (Own, 11, 2, [Group("parameters", 3, 2), Group("body", 8, 0)]),
    "through wrappers": (
        lambda: nn.Sequential(nn.Identity(), nn.Sequential(mlp(3, 4, 1, 2))),
        26,
        0,
        [Group("1", 16, 0), Group("3", 10, 0)],
    ),
    "cnn": (
        lambda: MadryCNN(1, 10),
        13_514,
        0,
        [
            Group("conv1", 52, 0),
            Group("conv2", 204, 0),
            Group("fc1", 12_608, 0),
            Group("fc2", 650, 0),
        ],
    ),
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("make", "trainable", "fixed", "groups"), COUNTS.values(), ids=COUNTS.keys()
)
def test_parameters_by_group(make, trainable: int, fixed: int, groups: list[Group], device: str):
    with torch.device(device):
        model = make()
    counts = count_parameters(model)
    assert (counts.trainable, counts.frozen) == (trainable, fixed)
    assert list(counts.groups) == groups
    assert sum(g.trainable + g.frozen for g in counts.groups) == sum(
        p.numel() for p in model.parameters()
    )


def test_a_billion_parameters_are_counted_without_memory():
    with torch.device("meta"):
        assert count_parameters(mlp(784, 1_000_000, 1, 10)).trainable == 795_000_010


def mlp_flops(inputs: int, width: int, depth: int, outputs: int) -> int:
    """Return two FLOPs per multiply-add of the forward pass, the weight gradients, and the input
    gradients of all layers but the first."""
    sizes = [inputs, *[width] * depth, outputs]
    products = [a * b for a, b in zip(sizes, sizes[1:], strict=False)]
    return 2 * (3 * sum(products) - products[0])


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("shape", [(5, 7, 1, 1), (5, 7, 3, 2), (64, 32, 2, 10)], ids=str)
def test_flops_of_an_mlp(shape: tuple[int, int, int, int], device: str):
    with torch.device(device):
        model = mlp(*shape)
    assert count_training_flops(model, (shape[0],)) == mlp_flops(*shape)


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("outputs", [1, 10])
@pytest.mark.parametrize("c", [1, 3])
def test_flops_of_the_cnn(c: int, outputs: int, device: str):
    with torch.device(device):
        model = MadryCNN(c, outputs)
    conv1, conv2 = 28 * 28 * 25 * 1 * 2 * c, 14 * 14 * 25 * 2 * c * 4 * c
    dense = 49 * 4 * c * 64 * c + 64 * c * outputs
    assert count_training_flops(model, (1, 28, 28)) == 2 * (3 * (conv1 + conv2 + dense) - conv1)


class OncePerBatch(nn.Module):
    """A linear map whose weight is a product, computed anew in every forward pass at any batch
    size."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.ones(4, 50)), nn.Parameter(torch.ones(50, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.a @ self.b)


def test_work_done_once_per_batch_is_not_charged_to_samples():
    assert count_training_flops(OncePerBatch(), (4,)) == 2 * 2 * 4 * 4


def test_counting_leaves_no_gradients_behind():
    model = mlp(5, 7, 1, 1)
    count_training_flops(model, (5,))
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("inputs", "width", "depth"), [(5, 7, 1), (5, 7, 3), (100, 8, 2)])
def test_bytes_kept_for_the_backward_pass(inputs: int, width: int, depth: int, device: str):
    with torch.device(device):
        model = mlp(inputs, width, depth, 2)
    assert count_saved_bytes(model, (inputs,)) == 4 * (inputs + depth * width), (
        "the input, and every hidden activation once"
    )
