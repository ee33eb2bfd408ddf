"""Upper bounds of whole models: constants multiply along a chain, and a missing bound has a
reason.

Run alone: python -m pytest tests/measures/test_lipschitz_upper.py
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.measures.lipschitz_upper import Upper, upper
from tasks.models import MadryCNN, Standardize, mlp
from tests.measures.linear_algebra import bound, exact_norm, largest_quotient


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Halved(nn.Module):
    """Every second number, halved."""

    lipschitz = 0.5

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x[:, ::2]


class Parallel(nn.Sequential):
    """A sequence by type that computes something else."""

    def forward(self, input: Tensor) -> Tensor:
        return sum((layer(input) for layer in self), torch.zeros(()))


class Doubling(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def eye(n: int, scale: float = 1.0) -> nn.Linear:
    layer = nn.Linear(n, n)
    layer.weight.data = scale * torch.eye(n)
    return layer


def hooked(register: str) -> nn.Linear:
    layer = eye(4)
    getattr(layer, register)(lambda *_: None)
    return layer


COMPOSED: dict[str, tuple[nn.Module, tuple[int, ...], float]] = {
    "nothing": (nn.Sequential(), (4,), 1.0),
    "nested": (
        nn.Sequential(
            nn.Sequential(eye(4, 3.0)), nn.Sequential(nn.Tanh(), nn.Sequential(eye(4, 0.5)))
        ),
        (4,),
        1.5,
    ),
    "one layer twice": (nn.Sequential(*[eye(4, 3.0)] * 2), (4,), 9.0),
    "scaled input": (nn.Sequential(Standardize(0.5, -0.25), nn.Flatten(), eye(4)), (1, 2, 2), 4.0),
    "declared, with another shape after it": (
        nn.Sequential(eye(8), Halved(), eye(4, 3.0)),
        (8,),
        1.5,
    ),
    "declared by a sequence": (
        nn.Sequential(type("Declared", (Parallel,), {"lipschitz": 2.0})(eye(4), eye(4))),
        (4,),
        2.0,
    ),
    "dropout in training mode": (
        nn.Sequential(eye(4), nn.Dropout(0.5), nn.AlphaDropout(0.9)).train(),
        (4,),
        1.0,
    ),
    "pointwise on channels": (
        nn.Sequential(eye(3, 2.0), nn.Flatten(), nn.Unflatten(1, (5, 3))),
        (5, 3),
        2.0,
    ),
    "parametrised": (
        nn.Sequential(nn.utils.parametrizations.spectral_norm(eye(4, 7.0)).eval()),
        (4,),
        1.0,
    ),
    "zero weights": (nn.Sequential(eye(4, 0.0), nn.Sigmoid(), eye(4)), (4,), 0.0),
    "half precision": (nn.Sequential(eye(4, 3.0), nn.ReLU(), eye(4)).bfloat16(), (4,), 3.0),
}
"""A model, the shape of its input, the product of its constants."""


@pytest.mark.parametrize("name", COMPOSED)
def test_constants_multiply_along_a_chain(name: str):
    model, shape, product = COMPOSED[name]
    assert bound(model, *shape) == pytest.approx(product, rel=1e-6)


def test_zero_kernels_give_zero():
    layer = nn.Conv2d(1, 2, 5, padding=2)
    nn.init.zeros_(layer.weight)
    assert upper(nn.Sequential(layer, nn.ReLU()), (1, 28, 28)) == Upper(0.0, 0.0, None)


def test_computing_the_bound_changes_no_random_state_mode_or_gradient():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4))
    before = torch.get_rng_state()
    upper(model, (4,))
    assert (
        torch.equal(before, torch.get_rng_state())
        and model[1].training
        and all(p.grad is None for p in model.parameters())
    )


def spoilt(value: float) -> nn.Module:
    model = mlp(4, 8, 1, 1)
    next(model.parameters()).data[0, 0] = value
    return model


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "batch norm": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)),
        "no bound is known for BatchNorm1d",
    ),
    "two kinds": (
        lambda: nn.Sequential(nn.LayerNorm(4), nn.Sequential(nn.Softmax(1), nn.LayerNorm(4))),
        "no bound is known for LayerNorm, Softmax",
    ),
    "a sequence that is none": (
        lambda: Parallel(nn.Linear(4, 4)),
        "no bound is known for Parallel",
    ),
    "a layer that is another": (
        lambda: nn.Sequential(Doubling(4, 4)),
        "no bound is known for Doubling",
    ),
    "a hook": (
        lambda: nn.Sequential(hooked("register_forward_hook")),
        "no bound is known for Linear",
    ),
    "a hook before": (
        lambda: nn.Sequential(hooked("register_forward_pre_hook")),
        "no bound is known for Linear",
    ),
    "nan": (lambda: spoilt(math.nan), "some weights are not finite"),
    "infinity": (lambda: spoilt(-math.inf), "some weights are not finite"),
    "a jump": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.Softplus(threshold=1.0)),
        "the product is not finite from Softplus on",
    ),
    "overflow": (
        lambda: nn.Sequential(*[eye(4, 1e38)] * 9),
        "the product is not finite from Linear on",
    ),
}
"""A model, why there is no bound."""


@pytest.mark.parametrize("name", REFUSED)
def test_without_a_bound_a_note_says_why(name: str):
    make, note = REFUSED[name]
    found = upper(make(), (4,))
    assert found.product is None and found.note == note


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 10])
def test_the_cnns_bound_holds_for_pairs(outputs: int):
    model = nn.Sequential(Standardize(0.13, 0.31), MadryCNN(1, outputs)).double()
    value = bound(model, 1, 28, 28)
    u = torch.rand(64, 1, 28, 28, dtype=torch.float64)
    near = u + 1e-6 * torch.randn(u.shape, dtype=u.dtype)
    largest = max(largest_quotient(model, u, torch.rand_like(u)), largest_quotient(model, u, near))

    assert 0 < largest <= value
    layers = dict(model[1].named_children())
    parts = [
        exact_norm(layers["conv1"], 1, 28, 28),
        exact_norm(layers["conv2"], 2, 14, 14),
        exact_norm(layers["fc1"], 196),
        exact_norm(layers["fc2"], 64),
    ]
    assert value == pytest.approx(math.prod(parts) / 0.31, rel=1e-4)
