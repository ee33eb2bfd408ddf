"""The adversary: exact on linear models, confined to ball and box, the same in a stack and alone,
and at a known cost.

Run alone: python -m pytest tests/training/test_adversary.py
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.training.adversary import (
    Adversary,
    adversary_of,
    count_pass_flops,
    perturb,
    random_offsets,
)
from harness.training.evaluation import sample_losses
from harness.training.stack import Alone, stack
from tasks.models import mlp
from tests.training.attacked_models import (
    BOXES,
    FGSM,
    NETS,
    PGD,
    UNIT_BOX,
    WIDTHS,
    D,
    adversarial_inputs,
    cnn,
    config_of,
    fgsm,
    losses,
    models,
    pixels,
    samples,
    starts,
)
from tests.training.toy_models import seeded


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("radius", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("classes", [None, 2, 5])
def test_fgsm_on_a_linear_model_is_the_gradients_sign(
    classes: int | None, radius: float, box: tuple[float, float] | None
):
    model = seeded(lambda: nn.Linear(D, classes or 1))
    x = pixels(20, D)
    y = alternating(20, classes)
    assert isinstance(model, nn.Linear)

    with torch.no_grad():
        if classes is None:
            gradient = 2 * (model(x) - y[:, None]) * model.weight
        else:
            gradient = (model(x).softmax(1) - torch.eye(classes)[y]) @ model.weight
        expected = x + radius * gradient.sign()
        if box:
            expected = expected.clamp(*box)
    assert torch.equal(adversarial_inputs(model, x, y, classes, fgsm(radius), box), expected)


def alternating(count: int, classes: int | None) -> Tensor:
    """Return alternating labels: 0, 1, …, or +1 and −1."""
    if classes:
        return torch.arange(count) % classes
    return torch.where(torch.arange(count) % 2 == 0, 1.0, -1.0)


FLAT: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(D, 3),
    "mlp": lambda: mlp(D, 16, 2, 3),
}


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("model", FLAT)
def test_pgd_stays_in_the_ball_and_in_the_box(
    model: str, steps: int, box: tuple[float, float] | None
):
    x = pixels(50, D)
    pgd = PGD._replace(steps=steps, step_size=0.2)
    attacked = adversarial_inputs(seeded(FLAT[model]), x, alternating(50, 3), 3, pgd, box)
    assert float((attacked - x).abs().max()) <= PGD.radius + 1e-6
    if box:
        assert box[0] <= float(attacked.min())
        assert float(attacked.max()) <= box[1]
    assert not torch.equal(attacked, x)
    assert not attacked.requires_grad


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("label", [-1.0, 1.0])
def test_pgd_reaches_the_corner_of_a_linear_models_ball(
    label: float, box: tuple[float, float] | None
):
    """The loss is convex in x, and the sign of its gradient is the same everywhere, because f stays
    on one side of the label."""
    model = seeded(lambda: nn.Linear(D, 1))
    x = pixels(20, D)
    y = torch.full((20,), label)
    assert isinstance(model, nn.Linear)

    with torch.no_grad():
        model.bias.fill_(100.0)
        corner = x + PGD.radius * model.weight.sign()
        if box:
            corner = corner.clamp(*box)
    assert torch.equal(adversarial_inputs(model, x, y, None, PGD, box), corner)


@pytest.mark.slow
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [None, 3])
def test_pgd_does_not_lower_the_loss_on_average(
    classes: int | None, seed: int, box: tuple[float, float] | None
):
    model = seeded(lambda: mlp(D, 32, 2, classes or 1), seed)
    x = pixels(100, D, seed=seed)
    y = alternating(100, classes)
    start = adversarial_inputs(model, x, y, classes, PGD._replace(steps=0), box)
    end = adversarial_inputs(model, x, y, classes, PGD, box)

    clean_losses = losses(model, x, y, classes)
    start_losses = losses(model, start, y, classes)
    end_losses = losses(model, end, y, classes)
    assert end_losses.mean() > start_losses.mean()
    assert end_losses.mean() > clean_losses.mean()
    assert (end_losses >= start_losses - 1e-6).float().mean() > 0.95


def test_the_random_start_is_uniform_in_the_ball():
    x = torch.full((2000, D), 0.5)
    start_alone = PGD._replace(steps=0)
    start = adversarial_inputs(mlp(D, 2, 1, 1), x, torch.ones(2000), None, start_alone, UNIT_BOX)
    draws = ((start - x) / PGD.radius).flatten()
    assert torch.equal(draws.histc(4, -1, 1) / len(draws) > 0.24, torch.ones(4, dtype=torch.bool))
    assert float(draws.abs().max()) <= 1 + 1e-6


def test_fgsm_draws_nothing_and_pgd_draws_from_its_own_stream():
    x = pixels(8, D)
    y = torch.ones(8)
    model = seeded(lambda: mlp(D, 4, 1, 1))
    losses_of = partial(sample_losses, y=y, classes=None)
    for adversary, draws in ((FGSM, False), (PGD, True)):
        (stream,) = starts(1)
        before = stream.get_state()
        offsets = random_offsets(adversary, [stream], x[None])
        perturb(Alone(model), x[None], 1, losses_of, adversary, None, offsets)
        assert torch.equal(stream.get_state(), before) is not draws

    before = torch.get_rng_state()
    first = adversarial_inputs(model, x, y, None, PGD, None)
    second = adversarial_inputs(model, x, y, None, PGD, None)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_ignores_its_input_moves_nothing():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.answer = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return self.answer.expand(len(x))[:, None]

    x = pixels(4, D)
    assert torch.equal(adversarial_inputs(Constant(), x, torch.ones(4), None, FGSM, UNIT_BOX), x)


@pytest.mark.slow
@pytest.mark.parametrize("adversary", [FGSM, PGD], ids=["fgsm", "pgd"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("net", NETS)
def test_a_model_of_a_stack_gets_the_inputs_that_it_gets_alone(
    net: str, groups: int, adversary: Adversary
):
    input_shape = NETS[net][1]
    data = [samples(input_shape, seed) for seed in range(groups)]
    x = torch.stack([d.x_train for d in data])
    y = torch.stack([d.y_train for d in data])
    per_group = len(WIDTHS)

    program = stack(models(net, groups), x[0, :4])
    losses_of = partial(sample_losses, y=y.repeat_interleave(per_group, 0).flatten(), classes=3)
    offsets = random_offsets(adversary, starts(groups), x)
    attacked = perturb(program, x, per_group, losses_of, adversary, UNIT_BOX, offsets)
    assert attacked.shape == (groups * per_group, *x.shape[1:])
    assert not torch.allclose(attacked[0], attacked[1]), "each model has inputs of its own"

    for m, model in enumerate(models(net, groups)):
        group = m // per_group
        losses_of = partial(sample_losses, y=y[group], classes=3)
        own_x = x[group][None]
        own_start = random_offsets(adversary, [starts(groups)[group]], own_x)
        own = perturb(Alone(model), own_x, 1, losses_of, adversary, UNIT_BOX, own_start)
        torch.testing.assert_close(attacked[m], own[0], rtol=0, atol=1e-5)


# What it costs


def test_flops_of_a_pass_by_hand():
    assert count_pass_flops(nn.Linear(5, 3), (5,)) == 2 * 15 + 2 * 15
    assert count_pass_flops(mlp(D, 8, 2, 3), (D,)) == 4 * (D * 8 + 8 * 8 + 8 * 3)
    with torch.device("meta"):
        assert count_pass_flops(mlp(D, 8, 2, 3), (D,)) == 4 * (D * 8 + 8 * 8 + 8 * 3)
        convolutions = 28 * 28 * 25 * 2 + 14 * 14 * 25 * 2 * 4
        assert count_pass_flops(cnn(1), (1, 28, 28)) == 4 * (convolutions + 49 * 4 * 64 + 64 * 10)


def near(value: float) -> Any:
    """Stand in for a float of about this value."""
    return pytest.approx(value)


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"adversary_radius": None}, None),
        ({"adversary": "fgsm"}, Adversary(0.3, 1, 0.3, random_start=False)),
        ({"adversary": "pgd"}, Adversary(0.3, 40, near(0.01), random_start=True)),
        (
            {"adversary": "pgd", "adversary_steps": 8},
            Adversary(0.3, 8, near(0.05), random_start=True),
        ),
        (
            {"adversary": "pgd", "adversary_step_size": 0.1},
            Adversary(0.3, 40, 0.1, random_start=True),
        ),
    ],
)
def test_the_adversary_of_a_configuration(about: dict[str, Any], expected: Adversary | None):
    assert adversary_of(config_of(**about)) == expected
