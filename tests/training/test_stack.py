"""Models trained as one program: each ends with the weights, the Fit and the columns that it would have had alone."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from harness.errors import TrialFailure
from harness.measures import columns as measured_columns
from harness.measures import measure
from harness.noise import flip_labels, resample_labels
from harness.task import Config, Data, Seeds
from harness.training.loop import Fit, Row, train
from harness.training.stack import Alone, CannotStack, LayerStack, VmapStack, stack
from tasks.models import MadryCNN, Standardize, mlp
from tests.measures.agreement import alike

D = 6
IMAGE = (1, 28, 28)


def data(seed: int, outputs: int, n: int = 50, shape: tuple[int, ...] = (D,), double: bool = False) -> Data:
    """Random points; the first coordinate decides a label, and a fifth of the labels is noise."""
    draw = torch.Generator().manual_seed(seed)
    x, x_test = torch.randn(n, *shape, generator=draw), torch.randn(40, *shape, generator=draw)
    if double:
        x, x_test = x.double(), x_test.double()
    first, first_test = x.flatten(1)[:, 0], x_test.flatten(1)[:, 0]
    if outputs == 1:
        y, noise = flip_labels(first.sign(), 0.2, draw)
        return Data(x, y, x_test, first_test.sign(), noise)
    labels, test_labels = ((4 * v).long() % outputs for v in (first, first_test))
    y, noise = resample_labels(labels, outputs, 0.2, draw)
    return Data(x, y, x_test, test_labels, noise, classes=outputs)


class Residual(nn.Module):
    """A net that is no chain of layers, so that only torch.func can stack it."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.into, self.block, self.out = nn.Linear(D, width), nn.Linear(width, width, bias=False), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.into(x))
        return self.out(h + F.relu(self.block(h)))


class Maxout(nn.Module):
    """A net whose forward speaks of its own width."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.width, self.into, self.out = width, nn.Linear(D, 2 * width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.into(x).unflatten(1, (self.width, 2)).amax(2))


Build = Callable[[int, int], nn.Module]
"""Size and outputs to a model."""

NETS: dict[str, Build] = {
    "mlp of depth 1": lambda width, outputs: mlp(D, width, 1, outputs),
    "mlp of depth 2": lambda width, outputs: mlp(D, width, 2, outputs),
    "mlp of depth 3": lambda width, outputs: mlp(D, width, 3, outputs),
    "residual": Residual,
}
SIZES = {"one": (8,), "equal": (8, 8), "different": (8, 3, 5)}
ROWS = {
    "one data set": [(0, 1e-3)],
    "data sets": [(0, 1e-3), (1, 1e-3)],
    "learning rates": [(0, 1e-3), (0, 1e-2)],
    "both": [(0, 1e-3), (1, 1e-3), (2, 1e-2)],
}
"""Seed and learning rate of each row."""


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


class Lot(NamedTuple):
    """Models, row after row, with what each is trained on."""

    modules: list[nn.Module]
    samples: list[Data]
    kind: Sequence[tuple[int, float]]

    @classmethod
    def of(cls, build: Build, sizes: Sequence[int], kind: Sequence[tuple[int, float]], outputs: int, **about: Any) -> "Lot":
        sets = {seed: data(seed, outputs, **about) for seed, _ in kind}
        modules = [seeded(lambda size=size: build(size, outputs), i) for i, size in enumerate(tuple(sizes) * len(kind))]
        if about.get("double"):
            modules = [m.double() for m in modules]
        return cls(modules, [sets[seed] for seed, _ in kind], kind)

    @property
    def per_row(self) -> int:
        return len(self.modules) // len(self.kind)

    def rows(self) -> list[Row]:
        return [Row(d, Seeds(seed).generator("order"), lr) for d, (seed, lr) in zip(self.samples, self.kind, strict=True)]

    def row_of(self, model: int) -> Row:
        return self.rows()[model // self.per_row]

    def copies(self) -> list[nn.Module]:
        return copy.deepcopy(self.modules)

    def trained(self, configs: Sequence[Config]) -> list[Fit | TrialFailure]:
        return train(stack(self.modules, self.samples[0].x_train[:4]), self.rows(), configs)


def configs(lot: Lot, max_epochs: Sequence[int], stop: str = "epochs", batch_size: int = 16) -> list[Config]:
    n = len(lot.samples[0].x_train)
    return [Config.model_validate({"n": n, "batch_size": batch_size, "stop": stop, "max_epochs": k}) for k in max_epochs]


def plainly(module: nn.Module, row: Row, config: Config) -> nn.Module:
    """The textbook loop: torch.optim.Adam over shuffled batches, for config.max_epochs epochs."""
    x, y, classes = row.data.x_train, row.data.y_train, row.data.classes
    adam = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=row.lr)
    for _ in range(config.max_epochs):
        for batch in torch.randperm(len(x), generator=row.order).split(config.batch_size):
            adam.zero_grad()
            output = module(x[batch])
            loss = F.mse_loss(output[:, 0], y[batch]) if classes is None else F.cross_entropy(output, y[batch])
            loss.backward()
            adam.step()
    return module


def assert_same_weights(module: nn.Module, other: nn.Module, atol: float = 1e-5) -> None:
    for (name, mine), its in zip(module.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=atol, msg=lambda said, name=name: f"{name}: {said}")


def assert_trains_as_alone(lot: Lot, made: Sequence[Config], atol: float = 1e-5) -> None:
    alone = [plainly(m, lot.row_of(i), made[i]) for i, m in enumerate(lot.copies())]
    for fit, config in zip(lot.trained(made), made, strict=True):
        assert isinstance(fit, Fit) and (fit.epochs, fit.stop_reason) == (config.max_epochs, "epoch_cap")
    for module, its in zip(lot.modules, alone, strict=True):
        assert_same_weights(module, its, atol)


def over(values: dict[str, Any], name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, values.values(), ids=values.keys())


TOY = [over(NETS, "build"), over(SIZES, "sizes"), over(ROWS, "kind"), pytest.mark.parametrize("outputs", [1, 10])]
IMAGES = [over({"equal": (1, 1), "different": (2, 1)}, "sizes"), over({k: ROWS[k] for k in ("one data set", "both")}, "kind")]


def every(marks: list[pytest.MarkDecorator]) -> Callable[[Any], Any]:
    def decorate(test: Any) -> Any:
        for mark in marks:
            test = mark(test)
        return test

    return decorate


@every(TOY)
def test_outputs_in_the_stack_are_the_models_own(build: Build, sizes: tuple[int, ...], kind: list[tuple[int, float]], outputs: int):
    lot = Lot.of(build, sizes, kind, outputs)
    assert_outputs_are_the_models_own(lot, LayerStack if isinstance(lot.modules[0], nn.Sequential) else VmapStack)


@every(IMAGES)
@pytest.mark.parametrize("outputs", [1, 10])
def test_outputs_of_stacked_cnns_are_the_models_own(sizes: tuple[int, ...], kind: list[tuple[int, float]], outputs: int):
    assert_outputs_are_the_models_own(Lot.of(MadryCNN, sizes, kind, outputs, n=7, shape=IMAGE), VmapStack)


def assert_outputs_are_the_models_own(lot: Lot, expected: type) -> None:
    program = stack(lot.modules, lot.samples[0].x_train[:4])
    assert type(program) is (expected if len(lot.modules) > 1 else Alone)
    x = torch.stack([d.x_train for d in lot.samples])
    found = [program(x)]
    if lot.per_row > 1 or len(lot.kind) > 1:
        found.append(program(x.repeat_interleave(lot.per_row, 0)))  # the same batches, one for each model
    for outputs in found:
        for i, module in enumerate(lot.modules):
            torch.testing.assert_close(outputs[i], module(x[i // lot.per_row]), rtol=1e-4, atol=1e-5)
    everywhere = program(x[:1])
    for i, module in enumerate(lot.modules):
        torch.testing.assert_close(everywhere[i], module(x[0]), rtol=1e-4, atol=1e-5)


@every(TOY)
def test_weights_after_twenty_steps_are_plain_adams(build: Build, sizes: tuple[int, ...], kind: list[tuple[int, float]], outputs: int):
    lot = Lot.of(build, sizes, kind, outputs)
    assert_trains_as_alone(lot, configs(lot, [5] * len(lot.modules)))


@every(IMAGES)
def test_weights_of_cnns_after_twenty_steps_are_plain_adams(sizes: tuple[int, ...], kind: list[tuple[int, float]]):
    lot = Lot.of(MadryCNN, sizes, kind, 10, n=20, shape=IMAGE, double=True)
    assert_trains_as_alone(lot, configs(lot, [5] * len(lot.modules), batch_size=6), atol=1e-9)


LEAVING = {
    "the narrowest first": [[3, 1, 2], [3, 1, 2]],
    "the widest first": [[1, 3, 2], [1, 2, 3]],
    "a whole row first": [[1, 1, 1], [3, 2, 3]],
    "the last row first": [[4, 2, 3], [1, 1, 2]],
    "crosswise": [[1, 3, 5], [5, 3, 1]],
    "all but one": [[1, 1, 1], [1, 5, 1]],
    "all at once": [[2, 2, 2], [2, 2, 2]],
}


@over(LEAVING, "epochs")
@over({**NETS, "maxout": Maxout}, "build")
@over({k: ROWS[k] for k in ("data sets", "learning rates")}, "kind")
def test_models_that_leave_and_models_that_stay_are_as_alone(build: Build, epochs: list[list[int]], kind: list[tuple[int, float]]):
    lot = Lot.of(build, (8, 3, 5), kind, 1)
    assert_trains_as_alone(lot, configs(lot, [k for row in epochs for k in row]))


def test_cnns_that_leave_and_cnns_that_stay_are_as_alone():
    lot = Lot.of(MadryCNN, (2, 1), ROWS["both"][:2], 1, n=12, shape=IMAGE, double=True)
    assert_trains_as_alone(lot, configs(lot, [1, 3, 4, 2], batch_size=6), atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_whoever_leaves_when_all_are_as_alone(draw: st.DataObject):
    kind = draw.draw(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([1e-3, 1e-2])), min_size=1, max_size=4))
    sizes = draw.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    epochs = draw.draw(st.lists(st.integers(1, 4), min_size=len(kind) * len(sizes), max_size=len(kind) * len(sizes)))
    lot = Lot.of(NETS["mlp of depth 1"], sizes, kind, draw.draw(st.sampled_from([1, 3])), n=10)
    assert_trains_as_alone(lot, configs(lot, epochs, batch_size=4))


RULES = [("noise", 300), ("interpolate", 300), ("epochs", 7), ("noise", 2)]


@pytest.mark.parametrize("outputs", [1, 3])
@over({"one data set": ROWS["one data set"], "both": ROWS["both"][1:]}, "kind")
@over({"mlp": NETS["mlp of depth 1"], "residual": Residual}, "build")
def test_each_model_leaves_at_its_own_stop_rule(build: Build, kind: list[tuple[int, float]], outputs: int):
    lot = Lot.of(build, (64, 64, 16, 8), [(seed, 10 * lr) for seed, lr in kind], outputs, n=40, double=True)
    made = [configs(lot, [cap], stop)[0] for stop, cap in RULES * len(kind)]
    alone = lot.copies()
    expected = [train(Alone(m), [lot.row_of(i)], [made[i]])[0] for i, m in enumerate(alone)]
    found = lot.trained(made)
    assert {fit.stop_reason for fit in found if isinstance(fit, Fit)} >= {"below_noise", "interpolated", "epoch_cap"}
    for fit, its, module, other in zip(found, expected, lot.modules, alone, strict=True):
        assert isinstance(fit, Fit) and isinstance(its, Fit)
        assert fit._replace(loss=0) == its._replace(loss=0)
        assert fit.loss == pytest.approx(its.loss, rel=1e-6)
        assert_same_weights(module, other)


def hurt(module: nn.Module) -> None:
    """Weights whose loss overflows float32 though they are finite themselves."""
    with torch.no_grad():
        next(module.parameters()).fill_(1e30)


@over({"mlp": NETS["mlp of depth 2"], "residual": Residual}, "build")
@over(ROWS, "kind")
@pytest.mark.parametrize("sick", [0, 2])
def test_a_model_without_a_finite_loss_leaves_its_mates_as_they_would_be_without_it(build: Build, kind: list[tuple[int, float]], sick: int):
    lot, healthy = (Lot.of(build, (8, 3, 5), kind, 1) for _ in range(2))
    hurt(lot.modules[sick])
    found, expected = (which.trained(configs(which, [4] * len(which.modules))) for which in (lot, healthy))
    for i, (fit, its) in enumerate(zip(found, expected, strict=True)):
        if i == sick:
            assert isinstance(fit, TrialFailure) and fit.kind == "nan" and "after epoch 1" in str(fit)
            continue
        assert isinstance(fit, Fit) and isinstance(its, Fit)
        assert fit._replace(loss=0) == its._replace(loss=0) and fit.loss == pytest.approx(its.loss, rel=1e-5)
        assert_same_weights(lot.modules[i], healthy.modules[i])


def test_a_row_that_diverges_in_its_last_epoch_fails_alone():
    lot = Lot.of(NETS["mlp of depth 1"], (8, 3), [(0, 1e-3), (0, 1e38)], 1)
    first, second, *diverged = lot.trained(configs(lot, [1] * 4, batch_size=50))
    assert isinstance(first, Fit) and isinstance(second, Fit)
    for fit in diverged:
        assert isinstance(fit, TrialFailure) and fit.kind == "nan" and "at the final weights" in str(fit)


def test_all_models_may_fail():
    lot = Lot.of(NETS["mlp of depth 1"], (8, 3), ROWS["one data set"], 1)
    for module in lot.modules:
        hurt(module)
    assert [fit.kind for fit in lot.trained(configs(lot, [3, 3])) if isinstance(fit, TrialFailure)] == ["nan", "nan"]


def test_stop_noise_without_noise_is_refused_whichever_model_asks():
    lot = Lot.of(NETS["mlp of depth 1"], (8, 3), [(0, 1e-3), (1, 1e-3)], 1)
    clean = data(1, 1)
    y, noise = flip_labels(clean.y_train, 0.0, torch.Generator())
    lot.samples[1] = Data(clean.x_train, y, clean.x_test, clean.y_test, noise)
    made = [*configs(lot, [3, 3, 3]), *configs(lot, [3], "noise")]
    with pytest.raises(ValueError, match="needs labels with injected noise"):
        lot.trained(made)


def chain(width: int, act: Callable[[], nn.Module], zero: bool = False, outputs: int = 1, bias: bool = True) -> nn.Sequential:
    """One hidden layer; `zero` starts the last one at zero, as is often done."""
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
    """With a bias that starts at zero, or without one: the same function at first."""
    made = chain(8, nn.ReLU, bias=bias)
    if bias:
        nn.init.zeros_(made.get_parameter("0.bias"))
    return made


def with_dropout(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(D, width), nn.Dropout(0.5), nn.Linear(width, 1))


def pair(build: Callable[..., nn.Module], *arguments: Sequence[Any]) -> list[Callable[[], nn.Module]]:
    return [lambda a=a: build(*a) for a in arguments]


REFUSED: dict[str, tuple[list[Callable[[], nn.Module]], str]] = {
    "sigmoid units of different widths": (pair(chain, (4, nn.Sigmoid), (8, nn.Sigmoid)), "padding of a narrower model would be trained"),
    "softplus units of different widths": (pair(chain, (8, nn.Softplus), (4, nn.Softplus)), "padding of a narrower model would be trained"),
    "sigmoid units before a zero layer": (pair(chain, (4, nn.Sigmoid, True), (8, nn.Sigmoid, True)), "padding|another function"),
    "layer norms of different widths": (pair(normed, (4,), (8,)), "another function than alone"),
    "layer norms before a zero layer": (pair(normed, (4, True), (8, True)), "padding|another function"),
    "dropout": (pair(with_dropout, (8,), (8,)), "random"),
    "other activations": (pair(chain, (8, nn.ReLU), (8, nn.Tanh)), "the models' modules differ"),
    "other depths": (pair(mlp, (D, 8, 1, 1), (D, 8, 2, 1)), "the models' modules differ"),
    "other slopes": (pair(chain, (8, lambda: nn.LeakyReLU(0.01)), (8, lambda: nn.LeakyReLU(0.1))), "another function than alone"),
    "other input scales": (pair(chain, (8, lambda: Standardize(0, 1)), (8, lambda: Standardize(0, 2))), "another function than alone"),
    "other numbers of outputs": (pair(mlp, (D, 8, 1, 1), (D, 8, 1, 3)), "outputs have shape"),
    "other numbers of inputs": (pair(mlp, (D, 8, 1, 1), (D + 1, 8, 1, 1)), "RuntimeError"),
    "a bias, then none": (pair(biased, (True,), (False,)), "parameters differ"),
    "no bias, then one": (pair(biased, (False,), (True,)), "parameters differ"),
    "trained, then frozen": (pair(frozen_first, (False,), (True,)), "frozen|differ"),
    "frozen, then trained": (pair(frozen_first, (True,), (False,)), "frozen|differ"),
}


@over(REFUSED, "case")
def test_what_cannot_be_one_program_is_refused_with_the_reason(case: tuple[list[Callable[[], nn.Module]], str]):
    builders, reason = case
    modules = [seeded(build, i) for i, build in enumerate(builders)]
    before = copy.deepcopy(modules)
    with pytest.raises(CannotStack, match=reason):
        stack(modules, data(0, 1).x_train[:4])
    for module, its in zip(modules, before, strict=True):
        assert_same_weights(module, its, atol=0)


class Swish(nn.Module):
    """Acts on each number alone, and learns how."""

    elementwise = True

    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.beta * x)


class Warming(nn.Module):
    """Counts its calls in a buffer, and answers accordingly."""

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
    return nn.Sequential(Standardize(0.5, 2.0), nn.Sequential(nn.Linear(D, 8), nn.Sequential(nn.Tanh())), nn.Linear(8, 1, bias=False))


def frozen_features() -> nn.Sequential:
    return frozen_first(True)


def normed_by_weight() -> nn.Sequential:
    return nn.Sequential(weight_norm(nn.Linear(D, 8)), nn.ReLU(), nn.Linear(8, 1))


def transposed() -> nn.Sequential:
    made = chain(8, nn.ReLU)
    made[0].weight = nn.Parameter(torch.randn(D, 8).T)
    return made


def channels_last() -> nn.Module:
    made = nn.Sequential(nn.Unflatten(1, (2, 3, 1)), nn.Conv2d(2, 4, (3, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(4, 1))
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


@over(ODD, "build")
@pytest.mark.parametrize("models", [1, 3])
def test_what_is_not_refused_trains_as_alone(build: Callable[[], nn.Module], models: int):
    lot = Lot.of(lambda width, outputs: build(), [8] * models, ROWS["both"], 1)
    if models == 1:
        lot = Lot(lot.modules[:1], lot.samples[:1], lot.kind[:1])
    made = configs(lot, [5] * len(lot.modules))
    alone = [plainly(m, lot.row_of(i), made[i]) for i, m in enumerate(lot.copies())]
    try:
        lot.trained(made)
    except CannotStack:
        assert models > 1
        return
    for module, its in zip(lot.modules, alone, strict=True):
        assert_same_weights(module, its)


@pytest.mark.parametrize("kind", [Swish, nn.PReLU])
def test_activations_that_learn_are_stacked_through_their_own_forward(kind: type[nn.Module]):
    assert isinstance(stack([chain(8, kind) for _ in range(3)], torch.randn(4, D)), VmapStack)


@over({"one relu in two places": one_relu_twice, "nested sequences": nested, "frozen features": frozen_features}, "build")
def test_chains_of_layers_are_stacked_layer_by_layer(build: Callable[[], nn.Module]):
    assert type(stack([seeded(build, i) for i in range(3)], data(0, 1).x_train[:4])) is LayerStack


@over({"mlp": NETS["mlp of depth 2"], "residual": Residual}, "build")
def test_final_weights_are_written_into_the_models_own_parameters(build: Build):
    lot = Lot.of(build, (8, 3, 5), ROWS["both"], 1)
    own = [list(m.parameters()) for m in lot.modules]
    before = [[p.detach().clone() for p in parameters] for parameters in own]
    lot.trained(configs(lot, [2] * len(lot.modules)))
    for module, parameters, olds in zip(lot.modules, own, before, strict=True):
        for now, then, old in zip(module.parameters(), parameters, olds, strict=True):
            assert now is then and now.shape == old.shape and now.requires_grad and now.is_contiguous()
            assert not torch.equal(now, old)


FIRST: list[tuple[Callable[[], nn.Module], type]] = [
    (lambda: nn.Sequential(Standardize(0.5, 2.0), nn.Identity(), *mlp(784, 8, 2, 10)), LayerStack),
    (lambda: nn.Sequential(nn.Flatten(), Standardize(0.5, 2.0), Standardize(-1.0, 0.3), nn.Linear(784, 3, bias=False)), LayerStack),
    (lambda: nn.Sequential(nn.ReLU(), *mlp(784, 8, 1, 2)), LayerStack),
    (lambda: nn.Sequential(Standardize(0.1, 0.3), MadryCNN(1, 2)), VmapStack),
]


@pytest.mark.parametrize(("build", "kind"), FIRST, ids=["standardized", "twice", "relu-first", "cnn"])
@pytest.mark.parametrize("models", [1, 3])
def test_of_inputs_alone_a_stack_is_the_same_function(build: Callable[[], nn.Module], kind: type, models: int):
    x = torch.randn(models, 5, *IMAGE, generator=torch.Generator().manual_seed(0))
    program, units = stack([build() for _ in range(models)], x[0]), torch.tensor([0.7, 3.0, 11.0])[:models]
    assert isinstance(program, kind if models > 1 else Alone)
    torch.testing.assert_close(program.of_inputs()(x), program(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(program.of_inputs(units)(x), program(x * units[:, None, None, None, None]), rtol=1e-4, atol=1e-5)


def test_frozen_weights_stay_as_they_were():
    lot = Lot.of(lambda width, outputs: frozen_features(), (8, 8), ROWS["data sets"], 1)
    before = lot.copies()
    lot.trained(configs(lot, [3] * len(lot.modules)))
    for module, its in zip(lot.modules, before, strict=True):
        assert torch.equal(module.get_parameter("0.weight"), its.get_parameter("0.weight"))
        assert not torch.equal(module.get_parameter("2.weight"), its.get_parameter("2.weight"))


@over({"mlp": NETS["mlp of depth 2"], "residual": Residual, "maxout": Maxout}, "build")
@pytest.mark.parametrize("taken", [[1], [2, 1], [0, 1, 2]], ids=str)
def test_some_of_a_stack_answer_as_before_and_are_copies(build: Build, taken: list[int]):
    lot = Lot.of(build, (8, 3, 5), ROWS["one data set"], 1)
    x = lot.samples[0].x_train[None]
    program = stack(lot.modules, x[0, :4])
    before = program(x)
    part = program.take(taken)
    torch.testing.assert_close(part(x), before[taken], rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        for parameter in part.parameters.values():
            parameter *= 2
    assert torch.equal(program(x), before)
    written = part.unstack(0)
    assert written is lot.modules[taken[0]]
    torch.testing.assert_close(written(x[0]), part(x)[0], rtol=1e-5, atol=1e-6)


def assert_measured_as_alone(lot: Lot, points: int, rel: float) -> None:
    samples = [lot.samples[i // lot.per_row] for i in range(len(lot.modules))]
    seeds = [Seeds(lot.kind[i // lot.per_row][0]) for i in range(len(lot.modules))]
    found = measure(stack(lot.modules, samples[0].x_train[:4]), samples, seeds, points)
    for mine, module, sample, seed in zip(found, lot.copies(), samples, seeds, strict=True):
        alone = measure(Alone(module), [sample], [seed], points)[0]
        assert mine.keys() == alone.keys()
        for name, value in alone.items():
            assert alike(name, mine[name], value, points, rel), name


def on_the_sphere(sample: Data) -> Data:
    x, x_test = (F.normalize(v, dim=1) for v in (sample.x_train, sample.x_test))
    return Data(x, sample.y_train, x_test, sample.y_test, sample.noise, sample.classes, "unit-sphere")


MEASURED = {"scalar mlp": (NETS["mlp of depth 2"], 1), "mlp of classes": (NETS["mlp of depth 1"], 3), "residual": (Residual, 1)}


@pytest.mark.parametrize(("build", "outputs"), MEASURED.values(), ids=MEASURED.keys())
@over({"one data set": ROWS["one data set"], "two rows": ROWS["both"][1:]}, "kind")
def test_measured_stacked_is_measured_alone(build: Build, kind: list[tuple[int, float]], outputs: int):
    lot = Lot.of(build, (8, 3), kind, outputs)
    lot.trained(configs(lot, [20] * len(lot.modules)))
    assert_measured_as_alone(lot, points=32, rel=1e-4)


def test_cnns_measured_stacked_are_measured_alone():
    lot = Lot.of(MadryCNN, (2, 1), ROWS["one data set"], 1, n=20, shape=IMAGE)
    assert_measured_as_alone(lot, points=4, rel=1e-4)


SPHERES = {"all on it": (True, True), "the second on it": (False, True), "the first on it": (True, False)}


@over(SPHERES, "where")
def test_each_model_is_measured_on_its_own_manifold(where: tuple[bool, ...]):
    lot = Lot.of(NETS["mlp of depth 1"], (8, 3), ROWS["data sets"], 1)
    lot = lot._replace(samples=[on_the_sphere(d) if on_it else d for d, on_it in zip(lot.samples, where, strict=True)])
    assert_measured_as_alone(lot, points=32, rel=1e-4)


def test_models_with_fewer_points_are_measured_as_alone():
    lot = Lot.of(NETS["mlp of depth 1"], (8, 3), ROWS["data sets"], 1)
    few = lot.samples[1]
    lot.samples[1] = Data(few.x_train, few.y_train, few.x_test[:10], few.y_test[:10], few.noise)
    assert_measured_as_alone(lot, points=32, rel=1e-4)


@pytest.mark.parametrize("models_together", [0, 1])
def test_measured_in_pieces_is_measured_alone(models_together: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measured_columns, "TOGETHER_BYTES", models_together * 4 * 32 * D)
    assert_measured_as_alone(Lot.of(NETS["mlp of depth 1"], (8, 3), ROWS["both"][1:], 1), points=32, rel=1e-4)


def test_without_points_there_is_accuracy_alone():
    lot = Lot.of(NETS["mlp of depth 1"], (8, 3), ROWS["one data set"], 1)
    for columns in measure(stack(lot.modules, lot.samples[0].x_train[:4]), lot.samples * 2, [Seeds(0)] * 2, 0):
        assert not any(name.startswith(("stability", "lip", "noise", "robust", "d_")) for name in columns) and "ece" in columns
        assert math.isfinite(columns["test_loss"])
