"""The training loop: the figure and reason of each stop rule, and what the result depends on.

Run alone: python -m pytest tests/training/test_loop.py
"""

import dataclasses
import functools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.errors import TrialFailure
from harness.noise import Noise, flip_labels, resample_labels
from harness.task import Config, Data, Seeds
from harness.training.evaluation import Evaluation, evaluate
from harness.training.loop import Fit, StackGroup, train
from harness.training.stack import Alone
from harness.training.stop_rules import INTERPOLATION_MSE
from tests.training.toy_models import Recorder

N = 60
D = 6


def data(classes: int | None, eta: float) -> Data:
    """Return N random points whose labels depend on the first coordinate, with noise of a known
    level."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(N, D, generator=draw)
    x_test = torch.randn(20, D, generator=draw)
    if classes is None:
        y, noise = flip_labels(x[:, 0].sign(), eta, draw)
        return Data(x, y, x_test, x_test[:, 0].sign(), noise)
    labels = [(v[:, 0] > 0).long() + (v[:, 0] > 1).long() for v in (x, x_test)]
    y, noise = resample_labels(labels[0], classes, eta, draw)
    return Data(x, y, x_test, labels[1], noise, classes=classes)


def net(classes: int | None, width: int = 128) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(D, width), nn.ReLU(), nn.Linear(width, classes or 1))


def alone(model: nn.Module, samples: Data, config: Config, seed: int = 0) -> Fit | TrialFailure:
    group = StackGroup(samples, Seeds(seed).generator("order"), config.lr)
    (end,) = train(Alone(model), [group], [config])
    return end


def fit(model: nn.Module, samples: Data, seed: int = 0, **config: Any) -> Fit:
    end = alone(model, samples, Config(n=N, **{"batch_size": 16, **config}), seed)
    assert isinstance(end, Fit), end
    return end


def figures(model: nn.Module, samples: Data) -> Evaluation:
    (evaluation,) = evaluate(Alone(model), [samples])
    return evaluation


RULES = {
    "below the noise, ±1": (None, 0.2, "noise", "below_noise", "loss", 4 * 0.2 * 0.8 / 2),
    "below a small noise, ±1": (None, 0.05, "noise", "below_noise", "loss", 4 * 0.05 * 0.95 / 2),
    "below the noise, classes": (3, 0.3, "noise", "below_noise", "error", 0.3 * (1 - 1 / 3) / 2),
    "interpolation, ±1": (None, 0.2, "interpolate", "interpolated", "loss", INTERPOLATION_MSE),
    "interpolation, classes": (3, 0.3, "interpolate", "interpolated", "error", 0.0),
}
"""Classes, share of noise and stop rule, then the reason to stop and the figure that must reach a
level."""


@functools.cache
def fit_by_rule(classes: int | None, eta: float, stop: str) -> tuple[nn.Module, Fit]:
    """Train until the rule is met. The tests of the rule share the model, so none may change it."""
    model = net(classes)
    return model, fit(model, data(classes, eta), stop=stop, max_epochs=2000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "eta", "stop", "reason", "figure", "level"), RULES.values(), ids=RULES.keys()
)
def test_stop_rule_is_met_early_and_at_the_final_weights(classes, eta, stop, reason, figure, level):
    model, done = fit_by_rule(classes, eta, stop)
    assert done.stop_reason == reason
    assert getattr(done, figure) <= level
    assert 1 < done.epochs < 2000, "met along the way, not at the cap"
    assert done.steps == done.epochs * math.ceil(N / 16)
    assert (done.loss, done.error) == figures(model, data(classes, eta))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "eta", "stop", "reason", "figure", "level"), RULES.values(), ids=RULES.keys()
)
def test_the_epoch_before_had_not_met_the_rule(classes, eta, stop, reason, figure, level):
    epochs = fit_by_rule(classes, eta, stop)[1].epochs
    before = fit(net(classes), data(classes, eta), stop="epochs", max_epochs=epochs - 1)
    assert getattr(before, figure) > level


@pytest.mark.parametrize("stop", ["noise", "interpolate", "epochs"])
@pytest.mark.parametrize("classes", [None, 3])
def test_the_cap_ends_training_that_cannot_fit(classes: int | None, stop: str):
    samples = data(classes, 0.3)
    model = net(classes, width=1)
    done = fit(model, samples, stop=stop, max_epochs=3, lr=1e-5)
    assert (done.stop_reason, done.epochs, done.steps) == ("epoch_cap", 3, 3 * math.ceil(N / 16))
    assert (done.loss, done.error) == figures(model, samples)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, 3])
def test_the_epochs_rule_runs_to_the_cap_though_everything_fits(classes: int | None):
    done = fit(net(classes), data(classes, 0.0), stop="epochs", max_epochs=150, lr=1e-2)
    assert (done.stop_reason, done.epochs, done.error) == ("epoch_cap", 150, 0.0)


def test_a_rule_met_in_the_last_epoch_is_not_called_the_cap():
    epochs = fit(net(None), data(None, 0.2), stop="noise", max_epochs=2000).epochs
    last = fit(net(None), data(None, 0.2), stop="noise", max_epochs=epochs)
    assert (last.stop_reason, last.epochs) == ("below_noise", epochs)


@pytest.mark.parametrize("classes", [None, 3])
def test_without_noise_there_is_nothing_to_be_below(classes: int | None):
    with pytest.raises(ValueError, match="needs labels with injected noise"):
        fit(net(classes), data(classes, 0.0), stop="noise", max_epochs=150, lr=1e-2)


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize(("epochs", "where"), [(50, "after epoch"), (1, "at the final weights")])
def test_a_loss_that_is_not_finite_is_a_nan_failure(classes: int | None, epochs: int, where: str):
    absurd = Config(n=N, batch_size=N, stop="epochs", max_epochs=epochs).model_copy(
        update={"lr": 1e38}
    )
    failed = alone(net(classes), data(classes, 0.2), absurd)
    assert isinstance(failed, TrialFailure) and failed.kind == "nan" and where in str(failed)


def test_the_order_stream_alone_decides_the_order():
    x = torch.arange(10.0)[:, None]
    samples = Data(x, torch.ones(10), x, torch.ones(10), Noise("none", 0.0, 0.0))
    model = Recorder()
    alone(model, samples, Config(n=10, batch_size=4, stop="epochs", max_epochs=2), seed=7)
    order = Seeds(7).generator("order")
    assert model.seen == [
        *torch.randperm(10, generator=order).tolist(),
        *torch.randperm(10, generator=order).tolist(),
    ]


def final_weights(order_seed: int, global_seed: int) -> Tensor:
    torch.manual_seed(global_seed)
    model = net(3)
    fit(model, data(3, 0.3), seed=order_seed, stop="epochs", max_epochs=3)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_same_streams_same_weights_bit_for_bit():
    # Torch's global generator plays no part.
    assert torch.equal(final_weights(0, 0), final_weights(0, 99))
    assert not torch.equal(final_weights(0, 0), final_weights(1, 0))


@pytest.mark.parametrize("classes", [None, 3])
def test_evaluate_over_several_batches_with_known_answers(classes: int | None):
    n = 10_000  # more than one evaluation batch, and not a multiple of it
    none = Noise("none", 0.0, 0.0)
    numbers = torch.arange(n)
    if classes is None:
        x = numbers.float()[:, None] / n - 0.5
        y = torch.ones(n)
        loss = float((x.double() - 1).square().mean())
        error = 0.5
    else:
        x = torch.eye(3)[numbers % 3] * 5
        y = torch.where(numbers < n // 4, (numbers + 1) % 3, numbers % 3)
        loss_if_right = math.log(1 + 2 * math.exp(-5))
        loss = 0.75 * loss_if_right + 0.25 * (loss_if_right + 5)
        error = 0.25

    result = figures(nn.Identity(), Data(x, y, x[:7], y[:7], none, classes))
    assert result.error == error
    assert result.loss == pytest.approx(loss, rel=1e-5)


def test_evaluate_is_in_eval_mode():
    model = nn.Dropout(0.9).train()
    x = torch.ones(100, 1)
    y = torch.ones(100)
    assert figures(model, Data(x, y, x, y, Noise("none", 0.0, 0.0))).loss == 0.0


def test_training_goes_on_in_training_mode_after_an_evaluation():
    """Each epoch ends with an evaluation, because the loss stays above its level of 0.9 but within
    twice that level."""

    class Modes(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(D, 1)
            self.modes: list[bool] = []

        def forward(self, x: Tensor) -> Tensor:
            self.modes.append(self.training)
            return self.linear(x)

    model = Modes()
    with torch.no_grad():
        model.linear.weight.zero_()
        model.linear.bias.zero_()  # a loss of 1
    samples = dataclasses.replace(data(None, 0.2), noise=Noise("label_flip", 0.2, 0.2, sigma2=1.8))
    end = fit(model, samples, stop="noise", max_epochs=3, batch_size=N, lr=1e-6)
    assert end.stop_reason == "epoch_cap"
    assert model.modes == [True, False] * 3
