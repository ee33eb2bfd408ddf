"""Upper bounds on Lipschitz constants against exact ones: dense matrices, orthogonal layers,
small networks enumerated."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev
from torch.nn import functional as F

from harness.measures import lipschitz_upper
from harness.measures.lipschitz_upper import (
    MARGIN_FACTOR,
    Upper,
    certified_distance,
    log_probability_factor,
    torus_bound,
    upper,
)
from harness.training.stack import ELEMENTWISE
from tasks.models import MadryCNN, Standardize, mlp
from tests.measures.exact_lipschitz import SmallNet, exact_lipschitz, small_nets


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def bound(module: nn.Module, *input_shape: int) -> float:
    found = upper(module, input_shape)
    assert found.product is not None and found.note is None and found.residual <= 1e-5
    return found.product


def dense(layer: nn.Module, *input_shape: int) -> Tensor:
    """(outputs, inputs) matrix of an affine layer, in float64: its answers to unit impulses less
    its answer to zero."""
    layer = layer.double()
    impulses = torch.eye(math.prod(input_shape), dtype=torch.float64).reshape(-1, *input_shape)
    with torch.no_grad():
        return (
            (layer(impulses) - layer(torch.zeros(1, *input_shape, dtype=torch.float64)))
            .flatten(1)
            .T
        )


def exact(layer: nn.Module, *input_shape: int) -> float:
    return float(torch.linalg.matrix_norm(dense(layer, *input_shape), ord=2))


def quotient(model: Callable[[Tensor], Tensor], u: Tensor, v: Tensor) -> float:
    """Largest ‖f(u) − f(v)‖ / ‖u − v‖ over pairs of rows."""
    with torch.no_grad():
        return float(
            ((model(u) - model(v)).flatten(1).norm(dim=1) / (u - v).flatten(1).norm(dim=1)).max()
        )


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


@pytest.fixture(params=[1, lipschitz_upper.DENSE_NUMBERS], ids=["lanczos", "dense where small"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lipschitz_upper, "DENSE_NUMBERS", request.param)


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=str)
def test_a_convolution_has_its_dense_matrixs_norm(layer: nn.Module, shape: tuple[int, ...]):
    for p in layer.parameters():
        nn.init.normal_(p)
    value = exact(layer, *shape)
    assert value * (1 - 1e-12) <= bound(layer, *shape) <= value * (1 + 1e-5)


@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=str)
def test_the_torus_bounds_a_zero_padded_convolution_without_iteration(
    layer: Any, shape: tuple[int, ...]
):
    if layer.padding_mode == "zeros":
        for p in layer.parameters():
            nn.init.normal_(p)
        assert exact(layer, *shape) <= torus_bound(layer, layer.weight.detach(), shape[1:])


@pytest.mark.parametrize("n", [7, 12])
def test_the_torus_bound_is_the_norm_of_a_circular_convolution(n: int):
    """On a torus of n × n cells: what `torus_bound` sees for a layer without padding, which
    circular padding makes real."""
    circular, valid = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), nn.Conv2d(2, 3, 3)
    assert torus_bound(valid, circular.weight.detach(), (n, n)) == pytest.approx(
        exact(circular.double(), 2, n, n), rel=1e-6
    )


def test_where_lanczos_does_not_settle_the_torus_bound_stands_in(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lipschitz_upper, "LANCZOS_RESTARTS", 1)
    monkeypatch.setattr(lipschitz_upper, "LANCZOS_TOLERANCE", 1e-15)
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
    """Every singular value is 1: Lanczos is done at its first step, and the torus bound is
    exact."""
    layer = nn.Conv2d(1, 1, 5, padding=2)
    nn.init.dirac_(layer.weight)
    assert bound(layer, 1, 40, 40) == pytest.approx(1, rel=1e-9)
    assert torus_bound(layer, layer.weight.detach(), (40, 40)) == pytest.approx(1, rel=1e-9)


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
    """Reached by an input that stands alone: it is the maximum of all its windows."""
    assert bound(layer, *shape) == pytest.approx(constant)
    spikes = torch.eye(math.prod(shape)).reshape(-1, *shape)
    assert quotient(layer, spikes, torch.zeros_like(spikes)) == pytest.approx(constant)
    assert quotient(layer, torch.randn(500, *shape), torch.randn(500, *shape)) <= constant


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
def test_an_average_has_its_dense_matrixs_norm(layer: nn.Module, shape: tuple[int, ...]):
    value = exact(layer, *shape)
    assert value * (1 - 1e-12) <= bound(layer, *shape) <= value * (1 + 1e-5)


def test_averages_over_windows_apart_are_bounded_without_iteration(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lipschitz_upper, "LANCZOS_RESTARTS", 1)
    monkeypatch.setattr(lipschitz_upper, "LANCZOS_TOLERANCE", 0)
    assert bound(nn.AvgPool2d(2), 3, 40, 40) == pytest.approx(0.5) and bound(
        nn.AvgPool1d(9), 1, 4000
    ) == pytest.approx(1 / 3)


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


@pytest.mark.parametrize("layer", SLOPES, ids=str)
def test_an_elementwise_function_has_its_steepest_slope(layer: nn.Module):
    """On a grid of gradients: never steeper than the bound, and somewhere within 10⁻⁴ of it."""
    x = torch.linspace(-30, 30, 600_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(layer(x).sum(), x)
    steepest = float(slope.abs().max())
    assert steepest <= bound(layer, 1) * (1 + 1e-12) and bound(layer, 1) == pytest.approx(
        steepest, rel=1e-4
    )


def test_every_function_that_can_be_stacked_has_a_slope():
    assert set(ELEMENTWISE) == {type(layer) for layer in SLOPES}


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


def test_the_bound_leaves_random_numbers_modes_and_gradients_alone():
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
def test_where_there_is_no_bound_a_note_says_why(name: str):
    make, note = REFUSED[name]
    found = upper(make(), (4,))
    assert found.product is None and found.note == note


@pytest.mark.parametrize("outputs", [1, 10])
def test_the_cnns_bound_holds_for_pairs(outputs: int):
    model = nn.Sequential(Standardize(0.13, 0.31), MadryCNN(1, outputs)).double()
    value = bound(model, 1, 28, 28)
    u = torch.rand(64, 1, 28, 28, dtype=torch.float64)
    near = u + 1e-6 * torch.randn(u.shape, dtype=u.dtype)
    largest = max(quotient(model, u, torch.rand_like(u)), quotient(model, u, near))
    assert 0 < largest <= value
    layers = dict(model[1].named_children())
    parts = [
        exact(layers["conv1"], 1, 28, 28),
        exact(layers["conv2"], 2, 14, 14),
        exact(layers["fc1"], 196),
        exact(layers["fc2"], 64),
    ]
    assert value == pytest.approx(math.prod(parts) / 0.31, rel=1e-4)


# Two-layer networks whose constant is known exactly

KNOWN: dict[str, tuple[list[list[float]], list[float], list[list[float]], float]] = {
    "absolute value": ([[1], [-1]], [0, 0], [[1, 1]], 1),
    "identity": ([[1], [-1]], [0, 0], [[1, -1]], 1),
    "units that are never active together": ([[1], [-1]], [-1, -1], [[1, 1]], 1),
    "units that are active together near 0": ([[1], [-1]], [1, 1], [[1, -1]], 2),
    "cancelling": ([[2, 1], [2, 1]], [1, 1], [[1, -1]], 0),
    "a constant unit": ([[0, 0], [3, 4]], [1, 0], [[100, 1]], 5),
    "nothing": ([[0, 0]], [0], [[1]], 0),
    "two outputs": ([[1, 0], [0, 1]], [0, 0], [[3, 0], [0, 4]], 4),
}
"""W, b, A, constant."""


@pytest.mark.parametrize("name", KNOWN)
def test_enumeration_finds_constants_worked_out_by_hand(name: str):
    *arrays, constant = KNOWN[name]
    W, b, A = (np.array(a, dtype=float) for a in arrays)
    assert exact_lipschitz(W, b, A) == pytest.approx(constant)


def jacobian_norms(net: SmallNet, points: np.ndarray) -> np.ndarray:
    """(points,) norms of A D W."""
    active = points @ net.W.T + net.b > 0
    return np.linalg.norm(net.A @ (active[:, :, None] * net.W), ord=2, axis=(1, 2))


def test_on_the_line_enumeration_agrees_with_the_slopes_between_kinks():
    nets = [net for net in small_nets() if net.W.shape[1] == 1]
    assert len(nets) > 30
    for net in nets:
        kinks = np.sort(-net.b / net.W[:, 0])
        between = np.concatenate([[kinks[0] - 1], (kinks[:-1] + kinks[1:]) / 2, [kinks[-1] + 1]])
        assert net.exact == pytest.approx(jacobian_norms(net, between[:, None]).max())


def test_sampled_slopes_exact_constant_and_upper_bound_come_in_this_order():
    rng = np.random.default_rng(1)
    reached = 0
    for net in small_nets():
        d = net.W.shape[1]
        points = rng.standard_normal((500, d)) * np.exp(rng.uniform(-2, 4, (500, 1)))
        sampled = jacobian_norms(net, points).max()
        assert sampled <= net.exact * (1 + 1e-9) and net.exact <= bound(net.module(), d) * (
            1 + 1e-12
        )
        reached += sampled >= net.exact * (1 - 1e-9)
    assert reached > 150, (
        "regions are few, and most of them wide: sampling must nearly always find the steepest"
    )


# From logits to log-probabilities and margins, and to distances


def log_softmax_jacobian(z: Tensor) -> Tensor:
    return jacrev(lambda z: F.log_softmax(z, 0))(z.double())


@pytest.mark.parametrize("classes", [2, 3, 10, 50])
def test_log_probabilities_are_at_most_root_k_steeper_and_reach_it_at_a_corner(classes: int):
    factor = log_probability_factor(classes)
    for scale in (0.0, 0.3, 3.0, 30.0):
        z = scale * torch.randn(classes, dtype=torch.float64)
        norm = float(torch.linalg.matrix_norm(log_softmax_jacobian(z), ord=2))
        assert norm == pytest.approx(factor * float(F.softmax(z, 0).norm()))
        assert norm <= factor * (1 + 1e-12)
    corner = torch.zeros(classes).index_fill(0, torch.tensor(1), 50.0)
    assert float(torch.linalg.matrix_norm(log_softmax_jacobian(corner), ord=2)) == pytest.approx(
        factor
    )


def test_a_margin_of_orthogonal_logits_is_root_two_steeper():
    logits = nn.Linear(5, 5, bias=False)
    rows = nn.init.orthogonal_(logits.weight).detach()
    assert float((rows[0] - rows[3]).norm()) == pytest.approx(MARGIN_FACTOR * bound(logits, 5))


@pytest.mark.parametrize("d", [1, 4, 30])
def test_for_a_linear_classifier_of_two_labels_the_distance_is_exact(d: int):
    model, x = nn.Linear(d, 1).double(), torch.randn(50, d, dtype=torch.float64)
    with torch.no_grad():
        f = model(x)[:, 0]
    assert torch.allclose(
        certified_distance(f, bound(model, d), None), f.abs() / float(model.weight.detach().norm())
    )


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("d", [2, 6, 30])
def test_for_a_linear_classifier_of_more_labels_the_distance_is_never_above_the_exact_one(
    d: int, classes: int
):
    """Equal where the two logits' rows are opposite, which two classes with opposite rows always
    are."""
    model, x = nn.Linear(d, classes).double(), torch.randn(200, d, dtype=torch.float64)
    if classes == 2:
        model.weight.data[1] = -model.weight[0]
    with torch.no_grad():
        z = model(x)
    top = z.argmax(1)
    gaps, apart = (
        z.max(1).values[:, None] - z,
        (model.weight[top][:, None] - model.weight).norm(dim=2),
    )
    exact_distance = torch.where(apart > 0, gaps / apart, torch.inf).min(1).values
    margin = z.topk(2).values @ torch.tensor([1.0, -1.0], dtype=z.dtype)
    certified = certified_distance(margin, bound(model, d), classes)
    assert (
        certified.shape == (200,)
        and bool((certified <= exact_distance * (1 + 1e-12)).all())
        and bool((certified > 0).all())
    )
    if classes == 2:
        assert torch.allclose(certified, exact_distance)


@pytest.mark.parametrize("classes", [None, 3])
def test_a_constant_model_is_certified_everywhere(classes: int | None):
    assert certified_distance(torch.tensor([0.0, 1.0]), 0.0, classes).tolist() == [
        math.inf,
        math.inf,
    ]


def test_a_point_on_the_boundary_is_at_distance_zero():
    assert certified_distance(torch.tensor([0.0, -3.0]), 2.0, None).tolist() == [0.0, 1.5]


def test_certified_distance_of_a_network_is_respected_by_random_steps():
    model, x = mlp(6, 32, 2, 3).double(), torch.randn(300, 6, dtype=torch.float64)
    with torch.no_grad():
        top2 = model(x).topk(2)
        distance = certified_distance(top2.values[:, 0] - top2.values[:, 1], bound(model, 6), 3)
        step = F.normalize(torch.randn_like(x), dim=1) * distance[:, None]
        assert torch.equal(model(x + step).argmax(1), top2.indices[:, 0])
