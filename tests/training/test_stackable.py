"""Which models can be one program: unusual models train in a stack as they do alone, and those that
would not are refused with the reason.

Run alone: python -m pytest tests/training/test_stackable.py
"""

import copy
import gc
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from harness.training import padded
from harness.training.anatomy import anatomy
from harness.training.padded import pad_and_stack
from harness.training.stack import CannotStack, LayerStack, VmapStack, stack
from harness.training.stack_check import models_to_check
from tasks.models import Standardize, mlp
from tests.training.toy_models import (
    GROUPS,
    D,
    ToyModels,
    assert_same_weights,
    assert_trains_as_alone,
    configs,
    data,
    over,
    seeded,
)


def chain(
    width: int,
    act: Callable[[], nn.Module],
    zero: bool = False,
    outputs: int = 1,
    bias: bool = True,
) -> nn.Sequential:
    """Return a net with one hidden layer. `zero` starts the last layer at zero, as is often
    done."""
    last = nn.Linear(width, outputs)
    return nn.Sequential(nn.Linear(D, width, bias=bias), act(), zeroed(last) if zero else last)


def zeroed(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def normed(width: int, zero: bool = False) -> nn.Sequential:
    first, act, last = chain(width, nn.ReLU, zero)
    return nn.Sequential(first, nn.LayerNorm(width), act, last)


def frozen_first(frozen: bool) -> nn.Sequential:
    made = chain(8, nn.ReLU)
    made[0].requires_grad_(not frozen)
    return made


def biased(bias: bool) -> nn.Sequential:
    """Return a net with a bias that starts at zero, or without a bias: the same function at
    first."""
    made = chain(8, nn.ReLU, bias=bias)
    if bias:
        nn.init.zeros_(made.get_parameter("0.bias"))
    return made


def with_dropout(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(D, width), nn.Dropout(0.5), nn.Linear(width, 1))


def pair(
    build: Callable[..., nn.Module], *arguments: Sequence[Any]
) -> list[Callable[[], nn.Module]]:
    return [lambda a=a: build(*a) for a in arguments]


REFUSED: dict[str, tuple[list[Callable[[], nn.Module]], str]] = {
    "sigmoid units of different widths": (
        pair(chain, (4, nn.Sigmoid), (8, nn.Sigmoid)),
        "padding of a narrower model would be trained",
    ),
    "softplus units of different widths": (
        pair(chain, (8, nn.Softplus), (4, nn.Softplus)),
        "padding of a narrower model would be trained",
    ),
    "sigmoid units before a zero layer": (
        pair(chain, (4, nn.Sigmoid, True), (8, nn.Sigmoid, True)),
        "padding|another function",
    ),
    "layer norms of different widths": (pair(normed, (4,), (8,)), "another function than alone"),
    "layer norms before a zero layer": (
        pair(normed, (4, True), (8, True)),
        "padding|another function",
    ),
    "dropout": (pair(with_dropout, (8,), (8,)), "random"),
    "other activations": (pair(chain, (8, nn.ReLU), (8, nn.Tanh)), "the models' modules differ"),
    "other depths": (pair(mlp, (D, 8, 1, 1), (D, 8, 2, 1)), "the models' modules differ"),
    "other slopes": (
        pair(chain, (8, lambda: nn.LeakyReLU(0.01)), (8, lambda: nn.LeakyReLU(0.1))),
        "another function than alone",
    ),
    "other input scales": (
        pair(chain, (8, lambda: Standardize(0, 1)), (8, lambda: Standardize(0, 2))),
        "another function than alone",
    ),
    "other numbers of outputs": (pair(mlp, (D, 8, 1, 1), (D, 8, 1, 3)), "outputs have shape"),
    "other numbers of inputs": (pair(mlp, (D, 8, 1, 1), (D + 1, 8, 1, 1)), "RuntimeError"),
    "other types of numbers": (
        [lambda: mlp(D, 8, 1, 1), lambda: mlp(D, 8, 1, 1).double()],
        "different types of numbers",
    ),
    "a bias, then none": (pair(biased, (True,), (False,)), "parameters differ"),
    "no bias, then one": (pair(biased, (False,), (True,)), "parameters differ"),
    "trained, then frozen": (pair(frozen_first, (False,), (True,)), "frozen|differ"),
    "frozen, then trained": (pair(frozen_first, (True,), (False,)), "frozen|differ"),
}


@over(REFUSED, "case")
def test_what_cannot_be_one_program_is_refused_with_the_reason(
    case: tuple[list[Callable[[], nn.Module]], str],
):
    builders, reason = case
    modules = [seeded(build, i) for i, build in enumerate(builders)]
    before = copy.deepcopy(modules)
    with pytest.raises(CannotStack, match=reason):
        stack(modules, data(0, 1).x_train[:4])
    for module, its in zip(modules, before, strict=True):
        assert_same_weights(module, its, atol=0)


def leaky(slope: float) -> nn.Sequential:
    return chain(8, lambda: nn.LeakyReLU(slope))


def hooked() -> nn.Sequential:
    made = leaky(0.1)
    made.register_forward_hook(lambda module, x, output: -output)  # pyright: ignore[reportOperatorIssue]
    return made


ODD_ONES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "another slope": (lambda: leaky(0.2), "another function than alone"),
    "a hook": (hooked, "another function than alone"),
    "other outputs": (lambda: chain(8, lambda: nn.LeakyReLU(0.1), outputs=2), "outputs have shape"),
    "a wider layer norm": (lambda: normed(9), "the models' modules differ"),
}


@over(ODD_ONES, "odd")
def test_one_model_that_differs_is_found_among_many(odd: tuple[Callable[[], nn.Module], str]):
    build, reason = odd
    modules: list[nn.Module] = [leaky(0.1) for _ in range(9)]
    modules[4] = build()
    with pytest.raises(CannotStack, match=reason):
        stack(modules, torch.randn(4, D))


def test_one_model_of_each_kind_is_checked():
    equal = [anatomy(mlp(D, 8, 1, 1)) for _ in range(50)]
    assert models_to_check(equal, is_chain=True) == [0, 49]

    widths = [anatomy(mlp(D, 8 - m % 3, 1, 1)) for m in range(50)]
    assert models_to_check(widths, is_chain=True) == [0, 2, 49], "2 is the narrowest"
    assert models_to_check(widths, is_chain=False) == [0, 1, 2, 49]


@pytest.mark.parametrize("widths", [(3, 3, 3), (3, 2, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_large_tensors_are_stacked_as_small_ones_are(
    widths: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    """Large ones lie in memory of their own."""
    tensors = [torch.randn(width, 5).to(dtype) for width in widths]
    small = pad_and_stack(tensors)
    monkeypatch.setattr(padded, "LARGE_BYTES", 1)
    large = pad_and_stack(tensors)
    gc.collect()
    assert torch.equal(large, small) and large.dtype == dtype and large.is_contiguous()
    for slot, tensor in zip(large, tensors, strict=True):
        assert torch.equal(slot[: len(tensor)], tensor) and not slot[len(tensor) :].any()


@pytest.mark.parametrize("build", [lambda: tied(), lambda: one_linear_twice(), lambda: Warming()])
def test_the_anatomy_names_tensors_as_torch_does(build: Callable[[], nn.Module]):
    model = build()
    assert list(anatomy(model).parameters) == [name for name, _ in model.named_parameters()]
    assert list(anatomy(model).buffers) == [name for name, _ in model.named_buffers()]


class Swish(nn.Module):
    """An activation that acts on each number by itself and has a parameter."""

    elementwise = True

    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.beta * x)


class Warming(nn.Module):
    """A model that counts its calls in a buffer, on which its output depends."""

    calls: Tensor

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(D, 1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return self.linear(x) / (1 + self.calls)


def tied() -> nn.Sequential:
    twins = nn.Linear(D, D), nn.Linear(D, D)
    twins[1].weight = twins[0].weight
    return nn.Sequential(twins[0], nn.ReLU(), twins[1], nn.ReLU(), nn.Linear(D, 1))


def tied_then_zero() -> nn.Sequential:
    made = tied()
    zeroed(made[-1])
    return made


def one_relu_twice() -> nn.Sequential:
    relu = nn.ReLU()
    return nn.Sequential(nn.Linear(D, 8), relu, nn.Linear(8, 8), relu, nn.Linear(8, 1))


def one_linear_twice() -> nn.Sequential:
    linear = nn.Linear(D, D)
    return nn.Sequential(linear, nn.ReLU(), linear, nn.ReLU(), nn.Linear(D, 1))


def nested() -> nn.Sequential:
    return nn.Sequential(
        Standardize(0.5, 2.0),
        nn.Sequential(nn.Linear(D, 8), nn.Sequential(nn.Tanh())),
        nn.Linear(8, 1, bias=False),
    )


def frozen_features() -> nn.Sequential:
    return frozen_first(True)


def normed_by_weight() -> nn.Sequential:
    return nn.Sequential(weight_norm(nn.Linear(D, 8)), nn.ReLU(), nn.Linear(8, 1))


def transposed() -> nn.Sequential:
    made = chain(8, nn.ReLU)
    made[0].weight = nn.Parameter(torch.randn(D, 8).T)
    return made


def channels_last() -> nn.Module:
    made = nn.Sequential(
        nn.Unflatten(1, (2, 3, 1)),
        nn.Conv2d(2, 4, (3, 1)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4, 1),
    )
    return made.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its overloads are missing


ODD: dict[str, Callable[[], nn.Module]] = {
    "tied layers": tied,
    "tied layers before a zero layer": tied_then_zero,
    "one relu in two places": one_relu_twice,
    "one linear layer in two places": one_linear_twice,
    "nested sequences": nested,
    "frozen features": frozen_features,
    "weight norm": normed_by_weight,
    "equal layer norms": lambda: normed(8),
    "an activation that learns": lambda: chain(8, Swish),
    "torch's activation that learns": lambda: chain(8, nn.PReLU),
    "a buffer that changes": Warming,
    "weights that lie transposed": transposed,
    "weights that lie channels last": channels_last,
}


@pytest.mark.slow
@over(ODD, "build")
@pytest.mark.parametrize("models", [1, 3])
def test_what_is_not_refused_trains_as_alone(build: Callable[[], nn.Module], models: int):
    toys = ToyModels.of(lambda width, outputs: build(), [8] * models, GROUPS["both"][1:], 1)
    if models == 1:
        toys = ToyModels(toys.modules[:1], toys.samples[:1], toys.kind[:1])
    try:
        assert_trains_as_alone(toys, configs(toys, [5] * len(toys.modules)))
    except CannotStack:
        assert models > 1


@pytest.mark.parametrize("kind", [Swish, nn.PReLU])
def test_activations_with_parameters_are_stacked_through_their_own_forward(kind: type[nn.Module]):
    assert isinstance(stack([chain(8, kind) for _ in range(3)], torch.randn(4, D)), VmapStack)


@over(
    {
        "one relu in two places": one_relu_twice,
        "nested sequences": nested,
        "frozen features": frozen_features,
    },
    "build",
)
def test_chains_of_layers_are_stacked_layer_by_layer(build: Callable[[], nn.Module]):
    assert type(stack([seeded(build, i) for i in range(3)], data(0, 1).x_train[:4])) is LayerStack


def test_frozen_weights_stay_as_they_were():
    toys = ToyModels.of(lambda width, outputs: frozen_features(), (8, 8), GROUPS["data sets"], 1)
    before = toys.copies()
    toys.trained(configs(toys, [3] * len(toys.modules)))
    for module, its in zip(toys.modules, before, strict=True):
        assert torch.equal(module.get_parameter("0.weight"), its.get_parameter("0.weight"))
        assert not torch.equal(module.get_parameter("2.weight"), its.get_parameter("2.weight"))
