"""The built-in model families: parameter counts by formula and as published, and what the models
do to an input.

Run alone: python -m pytest tests/tasks/test_models.py
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harness.measures.counts import count_parameters
from tasks.models import MadryCNN, Standardize, mlp


@pytest.mark.parametrize(
    ("c", "published"), [(1, 13_514), (2, 52_506), (4, 206_954), (8, 821_706), (16, 3_274_634)]
)
def test_madry_counts_as_published(c: int, published: int):
    with torch.device("meta"):
        assert count_parameters(MadryCNN(c, outputs=10)).trainable == published


@pytest.mark.parametrize("outputs", [1, 10])
@pytest.mark.parametrize("c", [1, 3, 16])
def test_madry_counts_by_formula(c: int, outputs: int):
    conv = (25 * 1 + 1) * 2 * c + (25 * 2 * c + 1) * 4 * c
    dense = (49 * 4 * c + 1) * 64 * c + (64 * c + 1) * outputs
    with torch.device("meta"):
        assert count_parameters(MadryCNN(c, outputs)).trainable == conv + dense


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("width", [1, 7, 4096])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (784, 10), (100_000, 1)])
def test_mlp_counts_by_formula(inputs: int, width: int, depth: int, outputs: int):
    with torch.device("meta"):
        model = mlp(inputs, width, depth, outputs)
    assert (
        count_parameters(model).trainable
        == (inputs + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * outputs
    )
    assert sum(isinstance(layer, nn.ReLU) for layer in model) == depth


@pytest.mark.parametrize("model", [mlp(784, 3, 2, 10), MadryCNN(1, 10)], ids=["mlp", "cnn"])
def test_images_go_in_and_one_number_per_class_comes_out(model: nn.Module):
    assert model(torch.zeros(5, 1, 28, 28)).shape == (5, 10)


MADRY_LAYERS = [
    "conv1",
    "relu1",
    "pool1",
    "conv2",
    "relu2",
    "pool2",
    "flatten",
    "fc1",
    "relu3",
    "fc2",
]


@pytest.mark.parametrize(("c", "outputs"), [(1, 10), (2, 1)])
def test_madry_is_a_chain_of_named_layers_drawn_in_order(c: int, outputs: int):
    torch.manual_seed(0)
    model = MadryCNN(c, outputs)
    assert (
        type(model) is nn.Sequential
        and [name for name, _ in model.named_children()] == MADRY_LAYERS
    )
    torch.manual_seed(0)
    conv1, conv2 = nn.Conv2d(1, 2 * c, 5, padding=2), nn.Conv2d(2 * c, 4 * c, 5, padding=2)
    fc1, fc2 = nn.Linear(196 * c, 64 * c), nn.Linear(64 * c, outputs)
    drawn = {"conv1": conv1, "conv2": conv2, "fc1": fc1, "fc2": fc2}
    for name, p in model.named_parameters():
        layer, kind = name.split(".")
        assert torch.equal(p, getattr(drawn[layer], kind)), name
    x = torch.rand(3, 1, 28, 28)
    h = F.max_pool2d(F.relu(conv1(x)), 2)
    h = F.max_pool2d(F.relu(conv2(h)), 2).flatten(1)
    assert torch.equal(model(x), fc2(F.relu(fc1(h))))


def test_samples_do_not_influence_each_other():
    torch.manual_seed(0)
    x = torch.rand(6, 1, 28, 28)
    for model in (mlp(784, 8, 2, 1), MadryCNN(1, 1)):
        alone = torch.cat([model(x[i : i + 1]) for i in range(6)])
        torch.testing.assert_close(model(x), alone)


def test_standardize_is_fixed_and_has_no_parameters():
    scale = Standardize(0.5, 0.25)
    assert torch.equal(scale(torch.tensor([0.0, 0.5, 1.0])), torch.tensor([-2.0, 0.0, 2.0]))
    assert not scale.state_dict()


@pytest.mark.parametrize(("std", "constant"), [(0.25, 4.0), (-2.0, 0.5)])
def test_standardize_says_how_much_it_stretches(std: float, constant: float):
    scale, x = Standardize(0.5, std), torch.randn(20, 3)
    assert scale.lipschitz == constant
    torch.testing.assert_close((scale(x) - scale(0 * x)).norm(dim=1), constant * x.norm(dim=1))
