"""The layerwise bound lies between the exact Lipschitz constant and the product of the layers'
norms, agrees with a public implementation, and exists for fully connected networks alone.

Run alone: python -m pytest tests/measures/test_layerwise_bound.py
"""

import pytest
import torch
from torch import nn

from harness.measures.layerwise_bound import layerwise_bound
from tasks.models import MadryCNN, Standardize, mlp
from tests.measures.exact_lipschitz import small_nets
from tests.measures.linear_algebra import bound, largest_quotient


def diagonal(*entries: float) -> nn.Linear:
    layer = nn.Linear(len(entries), len(entries)).double()
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor(entries)))
    return layer


def test_a_bound_worked_out_by_hand():
    """C = diag(1, 1/4), so λ = 1 and P = diag(1/(2 − 1), 1/(2 − 1/4)). The last layer reads only
    the second number: the bound is √(4/7), the exact constant 1/2, the product 1."""
    reader = nn.Linear(2, 1).double()
    with torch.no_grad():
        reader.weight.copy_(torch.tensor([[0.0, 1.0]]))
    net = nn.Sequential(diagonal(1.0, 0.5), nn.ReLU(), reader)
    assert layerwise_bound(net, (2,)) == pytest.approx((4 / 7) ** 0.5)


ECLIPSE = {
    (6, 32, 1, 1): 0.6674722258702922,
    (6, 32, 2, 3): 0.6709371442337138,
    (40, 16, 3, 10): 0.5549035707183189,
    (5, 64, 5, 2): 0.5894726176312357,
    (20, 20, 10, 1): 0.08512509374360781,
}
"""Inputs, width, depth, outputs of networks from seed 0, and what `ECLipsE_Fast(weights, [0, …],
[1, …])` of eclipse-nn 0.1.7 gives for them."""


@pytest.mark.parametrize("shape", ECLIPSE)
def test_it_agrees_with_a_public_implementation(shape: tuple[int, int, int, int]):
    torch.manual_seed(0)
    net = mlp(*shape).double()
    assert layerwise_bound(net, (shape[0],)) == pytest.approx(ECLIPSE[shape], rel=1e-9)


@pytest.mark.slow
def test_it_lies_between_the_exact_constant_and_the_product():
    tighter = 0
    for net in small_nets():
        d = net.W.shape[1]
        product = bound(net.module(), d)
        layerwise = layerwise_bound(net.module(), (d,))
        assert layerwise is not None
        assert net.exact <= layerwise * (1 + 1e-12)
        assert layerwise <= product * (1 + 1e-9)
        tighter += layerwise < 0.99 * product
    assert tighter > len(small_nets()) / 4, "else it is the product"


ACTIVATIONS = {
    "leaky": nn.LeakyReLU(0.2),
    "elu": nn.ELU(2.0),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "softplus": nn.Softplus(),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("width", [3, 40])
def test_pairs_of_inputs_never_exceed_it(name: str, width: int):
    """With a scaled input, several activations, and layers both wider and narrower than the
    input."""
    torch.manual_seed(0)
    act = ACTIVATIONS[name]
    layers = [Standardize(0.1, 0.5), nn.Flatten(), nn.Linear(6, width), act, nn.Linear(width, 20)]
    net = nn.Sequential(*layers, nn.Dropout(0.5), act, Standardize(0.0, -2.0), nn.Linear(20, 2))
    net = net.double().eval()
    layerwise = layerwise_bound(net, (2, 3))
    assert layerwise is not None and layerwise <= bound(net, 2, 3) * (1 + 1e-9)

    u = torch.randn(2000, 2, 3, dtype=torch.float64)
    near = u + 1e-4 * torch.randn_like(u)
    largest = max(largest_quotient(net, u, near), largest_quotient(net, u, u.flip(0)))
    assert 0 < largest <= layerwise


def test_linear_layers_alone_give_the_exact_norm():
    torch.manual_seed(0)
    first, second = nn.Linear(5, 7).double(), nn.Linear(7, 3).double()
    exact = torch.linalg.matrix_norm(second.weight.detach() @ first.weight.detach(), ord=2)
    assert layerwise_bound(nn.Sequential(first, second), (5,)) == pytest.approx(float(exact))


def test_a_constant_network_gives_zero():
    net = nn.Sequential(diagonal(0.0, 0.0), nn.ReLU(), nn.Linear(2, 1).double())
    assert layerwise_bound(net, (2,)) == 0.0


class Declared(nn.Module):
    """A layer of which nothing but its constant is known."""

    lipschitz = 3.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * x.flip(1)


def test_a_declared_constant_multiplies_the_bound_at_both_ends():
    torch.manual_seed(0)
    net = mlp(4, 8, 1, 2)
    alone = layerwise_bound(net, (4,))
    assert alone is not None
    both = nn.Sequential(Declared(), net, Declared())
    assert layerwise_bound(both, (4,)) == pytest.approx(9 * alone)


OTHERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "convolutions": (MadryCNN(1, 10), (1, 28, 28)),
    "an activation that falls": (nn.Sequential(nn.Linear(4, 4), nn.GELU()), (4,)),
    "a negative slope": (nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(-0.5)), (4,)),
    "layers over channels": (nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Flatten()), (5, 3)),
    "a declared layer in between": (
        nn.Sequential(nn.Linear(4, 4), Declared(), nn.Linear(4, 1)),
        (4,),
    ),
    "no linear layer": (nn.Sequential(nn.ReLU()), (4,)),
    "weights that are not finite": (nn.Sequential(diagonal(float("inf"), 1.0), nn.ReLU()), (2,)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_models_have_none(name: str):
    assert layerwise_bound(*OTHERS[name]) is None
