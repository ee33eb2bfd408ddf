"""Training against an adversary is the same in a stack and alone, follows the textbook loop, and
makes models robust.

Run alone: python -m pytest tests/training/test_adversarial_training.py
"""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from harness.errors import TrialFailure
from harness.task import Config, Data, Seeds
from harness.training.evaluation import wrong
from harness.training.loop import Fit, StackGroup, train
from harness.training.stack import Alone, stack
from tasks.mnist import Mnist, MnistConfig
from tasks.models import mlp
from tests.training.attacked_models import (
    KINDS,
    UNIT_BOX,
    WIDTHS,
    D,
    N,
    adversarial_inputs,
    config_of,
    fgsm,
    losses,
    models,
    samples,
)
from tests.training.toy_models import assert_same_weights, seeded


def trained(modules: Sequence[nn.Module], groups: list[StackGroup], config: Config) -> list[Fit]:
    fits = train(stack(modules, groups[0].data.x_train[:4]), groups, [config] * len(modules))
    assert all(isinstance(fit, Fit) for fit in fits)
    return [fit for fit in fits if isinstance(fit, Fit)]


def group_of(data: Data, seed: int, lr: float = 1e-2) -> StackGroup:
    seeds = Seeds(seed)
    return StackGroup(data, seeds.generator("order"), lr, seeds.generator("adversary"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("net", ["mlp", "deeper"])
def test_a_model_of_a_stack_trains_as_alone(net: str, kind: str):
    """Twenty steps, two groups of three widths."""
    data = [samples((D,), seed) for seed in range(2)]
    config = config_of(**KINDS[kind])
    stacked = models(net, 2)
    fits = trained(stacked, [group_of(d, seed) for seed, d in enumerate(data)], config)

    for m, model in enumerate(models(net, 2)):
        group = m // len(WIDTHS)
        (fit,) = trained([model], [group_of(data[group], group)], config)
        assert fit.loss == pytest.approx(fits[m].loss, rel=1e-4)
        assert fit.steps == 20
        assert_same_weights(stacked[m], model, atol=1e-5)


@pytest.mark.slow
def test_figures_and_stop_rules_use_clean_inputs():
    """Every clean label is fitted, although more adversarial inputs are misclassified than a
    running figure near the rule's level allows."""
    data = samples((D,), 0, 60)
    model = seeded(lambda: mlp(D, 64, 1, 3)).double()
    config = config_of(
        n=60, stop="interpolate", max_epochs=400, adversary="fgsm", adversary_radius=0.1
    )
    (fit,) = trained([model], [group_of(data, 0)], config)
    assert fit.stop_reason == "interpolated"
    assert fit.epochs < 400 and fit.error == 0.0

    x = data.x_train
    y = data.y_train
    assert fit.loss == pytest.approx(float(losses(model, x, y, 3).mean()), rel=1e-6)
    attacked = adversarial_inputs(model, x, y, 3, fgsm(0.1), UNIT_BOX)
    assert float(wrong(model(attacked), y, 3).float().mean()) > 0.02


def test_training_against_pgd_is_the_textbook_loop():
    data = samples((D,), 0)
    model = models("mlp", 1)[0]
    trained([model], [group_of(data, 0)], config_of(**KINDS["pgd"]))

    textbook = models("mlp", 1)[0]
    order = Seeds(0).generator("order")
    starts = Seeds(0).generator("adversary")
    adam = torch.optim.Adam(textbook.parameters(), 1e-2)
    step = 4 * 0.3 / (3 * 5)
    for _ in range(10):
        for batch in torch.randperm(N, generator=order).split(10):
            x = data.x_train[batch]
            y = data.y_train[batch]
            uniform = torch.rand(x.shape, generator=starts).double()
            at = (x + 0.3 * (2 * uniform - 1)).clamp(0, 1)
            for _ in range(5):
                at = at.detach().requires_grad_()
                gradient = torch.autograd.grad(nn.functional.cross_entropy(textbook(at), y), at)[0]
                at = (at + step * gradient.sign()).detach()
                at = torch.minimum(torch.maximum(at, x - 0.3), x + 0.3).clamp(0, 1)
            adam.zero_grad()
            nn.functional.cross_entropy(textbook(at), y).backward()
            adam.step()
    for p, expected in zip(model.parameters(), textbook.parameters(), strict=True):
        torch.testing.assert_close(p, expected, rtol=1e-6, atol=1e-8)


def test_random_starts_need_their_generator():
    model = models("mlp", 1)[0]
    without_starts = StackGroup(samples((D,), 0), Seeds(0).generator("order"), 1e-2)
    with pytest.raises(ValueError, match="every group needs `starts`"):
        train(Alone(model), [without_starts], [config_of(**KINDS["pgd"])])


def test_a_loss_that_is_not_finite_under_attack_is_a_nan_failure():
    model = models("mlp", 1)[0]
    with torch.no_grad():
        next(iter(model.parameters())).fill_(math.nan)
    group = group_of(samples((D,), 0), 0)
    (end,) = train(Alone(model), [group], [config_of(**KINDS["pgd"])])
    assert isinstance(end, TrialFailure) and end.kind == "nan"


@pytest.mark.slow
def test_adversarially_trained_digits_are_more_robust():
    common = {
        "n": 600,
        "head": "digits",
        "stop": "epochs",
        "max_epochs": 12,
        "width": 64,
        "batch_size": 50,
        "lr": 3e-3,
    }

    natural = clean_and_attacked_accuracy(MnistConfig.model_validate(common))
    hardened = clean_and_attacked_accuracy(
        MnistConfig.model_validate({**common, "adversary": "fgsm", "adversary_radius": 0.1})
    )

    assert natural[0] > 0.8
    assert hardened[0] > 0.75
    assert natural[1] < 0.3
    assert hardened[1] > natural[1] + 0.2


def clean_and_attacked_accuracy(config: MnistConfig) -> tuple[float, float]:
    """Train a model, and return its accuracy on clean digits and on digits moved by FGSM."""
    data = Mnist().data(config, Seeds(0))
    model = seeded(lambda: Mnist().model(config))
    trained([model], [group_of(data, 0, config.lr)], config)

    x = data.x_test
    y = data.y_test
    attacked = adversarial_inputs(model, x, y, 10, fgsm(0.1), data.box)
    clean_error = wrong(model(x).detach(), y, 10).float().mean()
    attacked_error = wrong(model(attacked).detach(), y, 10).float().mean()
    return 1 - float(clean_error), 1 - float(attacked_error)
