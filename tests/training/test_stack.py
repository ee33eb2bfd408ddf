"""Models trained as one program end with the weights and the Fit that they would have alone.

Run alone: python -m pytest tests/training/test_stack.py
"""

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from harness.errors import TrialFailure
from harness.noise import flip_labels
from harness.task import Data
from harness.training.loop import Fit, train
from harness.training.stack import Alone, LayerStack, VmapStack, stack
from tasks.models import MadryCNN, Standardize, mlp
from tests.training.toy_models import (
    FEWEST_AND_MOST,
    GROUPS,
    IMAGE,
    IMAGES,
    NETS,
    TOY,
    TRAINED,
    Build,
    Maxout,
    Residual,
    ToyModels,
    assert_same_weights,
    assert_trains_as_alone,
    configs,
    data,
    every,
    over,
)


@pytest.mark.slow
@every(TOY)
def test_outputs_in_the_stack_are_the_models_own(
    build: Build, sizes: tuple[int, ...], kind: list[tuple[int, float]], outputs: int
):
    toys = ToyModels.of(build, sizes, kind, outputs)
    assert_outputs_are_the_models_own(
        toys, LayerStack if isinstance(toys.modules[0], nn.Sequential) else VmapStack
    )


@pytest.mark.slow
@every(IMAGES)
@pytest.mark.parametrize("outputs", [1, 10])
def test_outputs_of_stacked_cnns_are_the_models_own(
    sizes: tuple[int, ...], kind: list[tuple[int, float]], outputs: int
):
    assert_outputs_are_the_models_own(
        ToyModels.of(MadryCNN, sizes, kind, outputs, n=7, shape=IMAGE), VmapStack
    )


def assert_outputs_are_the_models_own(toys: ToyModels, expected: type) -> None:
    program = stack(toys.modules, toys.samples[0].x_train[:4])
    assert type(program) is (expected if len(toys.modules) > 1 else Alone)

    x = torch.stack([d.x_train for d in toys.samples])
    own = [module(x[i // toys.per_group]) for i, module in enumerate(toys.modules)]
    assert_close(program(x), own)
    if len(toys.modules) > 1:
        one_batch_per_model = x.repeat_interleave(toys.per_group, 0)
        assert_close(program(one_batch_per_model), own)

    assert_close(program(x[:1]), [module(x[0]) for module in toys.modules])


def assert_close(outputs: torch.Tensor, own: list[torch.Tensor]) -> None:
    torch.testing.assert_close(outputs, torch.stack(own), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@every(TRAINED)
def test_weights_after_eight_steps_are_plain_adams(
    build: Build, sizes: tuple[int, ...], kind: list[tuple[int, float]], outputs: int
):
    toys = ToyModels.of(build, sizes, kind, outputs)
    assert_trains_as_alone(toys, configs(toys, [2] * len(toys.modules)))


@pytest.mark.slow
@every(IMAGES)
def test_weights_of_cnns_after_eight_steps_are_plain_adams(
    sizes: tuple[int, ...], kind: list[tuple[int, float]]
):
    toys = ToyModels.of(MadryCNN, sizes, kind, 10, n=20, shape=IMAGE, double=True)
    assert_trains_as_alone(toys, configs(toys, [2] * len(toys.modules), batch_size=6), atol=1e-9)


LEAVING = {
    "the narrowest first": [[3, 1, 2], [3, 1, 2]],
    "the widest first": [[1, 3, 2], [1, 2, 3]],
    "a whole group first": [[1, 1, 1], [3, 2, 3]],
    "the last group first": [[4, 2, 3], [1, 1, 2]],
    "crosswise": [[1, 3, 5], [5, 3, 1]],
    "all but one": [[1, 1, 1], [1, 5, 1]],
    "all at once": [[2, 2, 2], [2, 2, 2]],
}


OTHERS = [NETS["mlp of depth 2"], NETS["mlp of depth 3"], Maxout]

WHO_LEAVES = [
    *itertools.product([NETS["mlp of depth 1"], Residual], LEAVING),
    *itertools.product(OTHERS, ["crosswise", "a whole group first"]),
]
"""Every order for a chain of layers and for a net that is none, two orders for the others."""


@pytest.mark.slow
@pytest.mark.parametrize(("build", "order"), WHO_LEAVES)
def test_models_that_leave_and_models_that_stay_train_as_alone(build: Build, order: str):
    kind = [(0, 1e-3), (1, 1e-2)]
    epochs = LEAVING[order]
    toys = ToyModels.of(build, (8, 3, 5), kind, 1)
    assert_trains_as_alone(toys, configs(toys, [k for group in epochs for k in group]))


@pytest.mark.slow
def test_cnns_that_leave_and_cnns_that_stay_train_as_alone():
    toys = ToyModels.of(MadryCNN, (2, 1), GROUPS["both"][:2], 1, n=12, shape=IMAGE, double=True)
    assert_trains_as_alone(toys, configs(toys, [1, 3, 4, 2], batch_size=6), atol=1e-9)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.data())
def test_all_models_train_as_alone_whichever_leaves_when(draw: st.DataObject):
    kind = draw.draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from([1e-3, 1e-2])), min_size=1, max_size=4
        )
    )
    sizes = draw.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    epochs = draw.draw(
        st.lists(
            st.integers(1, 4), min_size=len(kind) * len(sizes), max_size=len(kind) * len(sizes)
        )
    )
    toys = ToyModels.of(
        NETS["mlp of depth 1"], sizes, kind, draw.draw(st.sampled_from([1, 3])), n=10
    )
    assert_trains_as_alone(toys, configs(toys, epochs, batch_size=4))


RULES = [("noise", 300), ("interpolate", 300), ("epochs", 7), ("noise", 2)]


BOTH = GROUPS["both"][1:]

OF_EACH = {
    "mlp on one data set": (NETS["mlp of depth 1"], GROUPS["one data set"], 1),
    "mlp on two, of classes": (NETS["mlp of depth 1"], BOTH, 3),
    "residual on one data set, of classes": (Residual, GROUPS["one data set"], 3),
    "residual on two": (Residual, BOTH, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize(("build", "kind", "outputs"), OF_EACH.values(), ids=OF_EACH.keys())
def test_each_model_leaves_at_its_own_stop_rule(
    build: Build, kind: list[tuple[int, float]], outputs: int
):
    toys = ToyModels.of(
        build, (64, 64, 16, 8), [(seed, 10 * lr) for seed, lr in kind], outputs, n=40, double=True
    )
    of_each = [configs(toys, [cap], stop)[0] for stop, cap in RULES * len(kind)]
    alone = toys.copies()
    alone_fits = [
        train(Alone(module), [toys.group_of(i)], [of_each[i]])[0] for i, module in enumerate(alone)
    ]

    fits = toys.trained(of_each)

    reasons = {fit.stop_reason for fit in fits if isinstance(fit, Fit)}
    assert reasons >= {"below_noise", "interpolated", "epoch_cap"}
    for fit, alone_fit in zip(fits, alone_fits, strict=True):
        assert_same_fit(fit, alone_fit, rel=1e-6)
    for module, other in zip(toys.modules, alone, strict=True):
        assert_same_weights(module, other)


def assert_same_fit(fit: Fit | TrialFailure, other: Fit | TrialFailure, rel: float) -> None:
    assert isinstance(fit, Fit) and isinstance(other, Fit)
    assert fit._replace(loss=0) == other._replace(loss=0)
    assert fit.loss == pytest.approx(other.loss, rel=rel)


def hurt(module: nn.Module) -> None:
    """Set finite weights whose loss overflows float32."""
    with torch.no_grad():
        next(module.parameters()).fill_(1e30)


@pytest.mark.slow
@over({"mlp": NETS["mlp of depth 2"], "residual": Residual}, "build")
@FEWEST_AND_MOST
@pytest.mark.parametrize("sick", [0, 2])
def test_a_diverging_model_does_not_affect_the_others(
    build: Build, kind: list[tuple[int, float]], sick: int
):
    toys = ToyModels.of(build, (8, 3, 5), kind, 1)
    healthy = ToyModels.of(build, (8, 3, 5), kind, 1)
    hurt(toys.modules[sick])

    fits = toys.trained(configs(toys, [4] * len(toys.modules)))
    healthy_fits = healthy.trained(configs(healthy, [4] * len(healthy.modules)))

    for i, (fit, healthy_fit) in enumerate(zip(fits, healthy_fits, strict=True)):
        if i == sick:
            assert isinstance(fit, TrialFailure)
            assert fit.kind == "nan" and "after epoch 1" in str(fit)
        else:
            assert_same_fit(fit, healthy_fit, rel=1e-5)
            assert_same_weights(toys.modules[i], healthy.modules[i])


def test_a_group_that_diverges_in_its_last_epoch_fails_alone():
    toys = ToyModels.of(NETS["mlp of depth 1"], (8, 3), [(0, 1e-3), (0, 1e38)], 1)
    first, second, *diverged = toys.trained(configs(toys, [1] * 4, batch_size=50))
    assert isinstance(first, Fit) and isinstance(second, Fit)
    for fit in diverged:
        assert isinstance(fit, TrialFailure)
        assert fit.kind == "nan" and "at the final weights" in str(fit)


def test_all_models_may_fail():
    toys = ToyModels.of(NETS["mlp of depth 1"], (8, 3), GROUPS["one data set"], 1)
    for module in toys.modules:
        hurt(module)
    for fit in toys.trained(configs(toys, [3, 3])):
        assert isinstance(fit, TrialFailure) and fit.kind == "nan"


def test_stop_noise_without_noise_is_refused_whichever_model_asks():
    toys = ToyModels.of(NETS["mlp of depth 1"], (8, 3), [(0, 1e-3), (1, 1e-3)], 1)
    clean = data(1, 1)
    y, noise = flip_labels(clean.y_train, 0.0, torch.Generator())
    toys.samples[1] = Data(clean.x_train, y, clean.x_test, clean.y_test, noise)
    last_asks_for_noise = [*configs(toys, [3, 3, 3]), *configs(toys, [3], "noise")]
    with pytest.raises(ValueError, match="needs labels with injected noise"):
        toys.trained(last_asks_for_noise)


@over({"mlp": NETS["mlp of depth 2"], "residual": Residual}, "build")
def test_final_weights_are_written_into_the_models_own_parameters(build: Build):
    toys = ToyModels.of(build, (8, 3, 5), GROUPS["both"], 1)
    own = [p for module in toys.modules for p in module.parameters()]
    first_weights = [p.detach().clone() for p in own]

    toys.trained(configs(toys, [2] * len(toys.modules)))

    parameters = [p for module in toys.modules for p in module.parameters()]
    for p, own_parameter, first in zip(parameters, own, first_weights, strict=True):
        assert p is own_parameter
        assert p.shape == first.shape and p.requires_grad and p.is_contiguous()
        assert not torch.equal(p, first)


FIRST: list[tuple[Callable[[], nn.Module], type]] = [
    (lambda: nn.Sequential(Standardize(0.5, 2.0), nn.Identity(), *mlp(784, 8, 2, 10)), LayerStack),
    (
        lambda: nn.Sequential(
            nn.Flatten(),
            Standardize(0.5, 2.0),
            Standardize(-1.0, 0.3),
            nn.Linear(784, 3, bias=False),
        ),
        LayerStack,
    ),
    (lambda: nn.Sequential(nn.ReLU(), *mlp(784, 8, 1, 2)), LayerStack),
    (lambda: nn.Sequential(Standardize(0.1, 0.3), MadryCNN(1, 2)), VmapStack),
]


@pytest.mark.parametrize(
    ("build", "kind"), FIRST, ids=["standardized", "twice", "relu-first", "cnn"]
)
@pytest.mark.parametrize("models", [1, 3])
def test_as_a_function_of_inputs_a_stack_is_the_same(
    build: Callable[[], nn.Module], kind: type, models: int
):
    x = torch.randn(models, 5, *IMAGE, generator=torch.Generator().manual_seed(0))
    program = stack([build() for _ in range(models)], x[0])
    units = torch.tensor([0.7, 3.0, 11.0])[:models]
    assert isinstance(program, kind if models > 1 else Alone)

    torch.testing.assert_close(program.of_inputs()(x), program(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        program.of_inputs(units)(x),
        program(x * units[:, None, None, None, None]),
        rtol=1e-4,
        atol=1e-5,
    )


@over({"mlp": NETS["mlp of depth 2"], "residual": Residual, "maxout": Maxout}, "build")
@pytest.mark.parametrize("taken", [[1], [2, 1], [0, 1, 2]], ids=str)
def test_models_taken_from_a_stack_are_unchanged_copies(build: Build, taken: list[int]):
    toys = ToyModels.of(build, (8, 3, 5), GROUPS["one data set"], 1)
    x = toys.samples[0].x_train[None]
    program = stack(toys.modules, x[0, :4])
    before = program(x)
    part = program.take(taken)
    torch.testing.assert_close(part(x), before[taken], rtol=1e-5, atol=1e-6)

    with torch.no_grad():
        for parameter in part.parameters.values():
            parameter *= 2
    assert torch.equal(program(x), before)

    written = part.unstack(0)
    assert written is toys.modules[taken[0]]
    torch.testing.assert_close(written(x[0]), part(x)[0], rtol=1e-5, atol=1e-6)
