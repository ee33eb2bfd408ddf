"""The balls of an adversary: uniform points, steepest ascent, and the way back inside.

Run alone: python -m pytest tests/training/test_balls.py
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.task import Config
from harness.task.config import AdversaryNorm
from harness.training.adversary import Adversary, adversary_of
from harness.training.balls import BALLS, L2Ball, LinfBall
from tasks.models import mlp
from tests.training.attacked_models import (
    BOXES,
    D,
    adversarial_inputs,
    config_of,
    losses,
    pixels,
)
from tests.training.toy_models import seeded

L2 = Adversary(radius=0.3, steps=10, step_size=0.075, random_start=True, norm="l2")
ONE_STEP = Adversary(radius=0.3, steps=1, step_size=0.3, random_start=False, norm="l2")


def lengths(offset: Tensor) -> Tensor:
    return offset.flatten(-1 if offset.dim() == 2 else 1).norm(dim=-1)


@pytest.mark.parametrize("classes", [None, 2, 5])
def test_one_step_on_a_linear_model_follows_the_gradient_to_the_edge(classes: int | None):
    model = seeded(lambda: nn.Linear(D, classes or 1))
    assert isinstance(model, nn.Linear)
    x = pixels(20, D)
    y = torch.ones(20) if classes is None else torch.arange(20) % classes

    with torch.no_grad():
        if classes is None:
            gradient = 2 * (model(x) - y[:, None]) * model.weight
        else:
            gradient = (model(x).softmax(1) - torch.eye(classes)[y]) @ model.weight
        expected = x + 0.3 * gradient / gradient.norm(dim=1, keepdim=True)
    attacked = adversarial_inputs(model, x, y, classes, ONE_STEP, None)
    torch.testing.assert_close(attacked, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("steps", [1, 3, 10])
def test_pgd_stays_in_the_l2_ball_and_in_the_box(steps: int, box: tuple[float, float] | None):
    x = pixels(50, D)
    adversary = L2._replace(steps=steps, step_size=0.2)
    model = seeded(lambda: mlp(D, 16, 2, 3))
    attacked = adversarial_inputs(model, x, torch.arange(50) % 3, 3, adversary, box)
    moved = lengths(attacked - x)
    assert float(moved.max()) <= 0.3 + 1e-6
    assert float(moved.min()) > 0
    if box:
        assert box[0] <= float(attacked.min())
        assert float(attacked.max()) <= box[1]


@pytest.mark.slow
@pytest.mark.parametrize("label", [-1.0, 1.0])
def test_pgd_reaches_the_worst_point_of_a_linear_models_ball(label: float):
    model = seeded(lambda: nn.Linear(D, 1))
    assert isinstance(model, nn.Linear)
    with torch.no_grad():
        model.bias.fill_(100.0)  # f stays on one side of the label, so that the loss is convex
        farthest = 0.3 * model.weight / model.weight.norm()
    x = pixels(20, D)
    long = L2._replace(steps=200, step_size=0.05)
    attacked = adversarial_inputs(model, x, torch.full((20,), label), None, long, None)
    torch.testing.assert_close(attacked, x + farthest, rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_more_steps_find_a_larger_loss(seed: int):
    model = seeded(lambda: mlp(D, 32, 2, 3), seed)
    x = pixels(100, D, seed=seed)
    y = torch.arange(100) % 3
    start = adversarial_inputs(model, x, y, 3, L2._replace(steps=0), None)
    end = adversarial_inputs(model, x, y, 3, L2, None)
    assert losses(model, end, y, 3).mean() > losses(model, start, y, 3).mean()


def test_random_offsets_are_uniform_in_the_l2_ball():
    """Of a uniform point in d dimensions, (length/radius)^d is uniform on [0, 1], and its direction
    has mean 0."""
    draw = torch.Generator().manual_seed(0)
    offsets = L2Ball(2.0, None).random_offsets([draw], torch.zeros(1, 4000, D))[0]
    share = (lengths(offsets) / 2.0) ** D
    counts = share.histc(4, 0, 1) / len(share)
    assert torch.allclose(counts, torch.full((4,), 0.25), atol=0.03)
    assert float(offsets.mean(0).abs().max()) < 0.05


@pytest.mark.parametrize("norm", BALLS)
def test_a_zero_gradient_moves_nothing(norm: AdversaryNorm):
    zero = torch.zeros(2, 3, 4)
    assert torch.equal(BALLS[norm](0.1, None).ascent(zero), zero)


@pytest.mark.parametrize("shape", [(D,), (1, 3, 4)])
def test_inputs_of_any_shape_come_back_inside(shape: tuple[int, ...]):
    centre = torch.rand(2, 5, *shape)
    far = centre + torch.randn(2, 5, *shape)
    inside = L2Ball(0.5, (0.0, 1.0)).inside(far, centre)
    assert float((inside - centre).flatten(2).norm(dim=2).max()) <= 0.5 + 1e-6
    unmoved = centre + 0.01
    torch.testing.assert_close(L2Ball(0.5, None).inside(unmoved, centre), unmoved)
    assert torch.equal(LinfBall(0.5, None).inside(unmoved, centre), unmoved)


# The configuration


def near(value: float) -> Any:
    """Stand in for a float of about this value."""
    return pytest.approx(value)


def test_the_norm_left_out_is_linf_and_the_same_trial():
    left_out = Config(adversary="pgd", adversary_radius=0.3)
    written = Config(adversary="pgd", adversary_radius=0.3, adversary_norm="linf")
    assert written == left_out
    assert "adversary_norm" not in written.plain()


def test_an_l2_adversary_of_a_configuration():
    config = config_of(adversary="pgd", adversary_norm="l2", adversary_steps=10)
    assert adversary_of(config) == Adversary(0.3, 10, near(0.075), random_start=True, norm="l2")
    assert config.plain()["adversary_norm"] == "l2"
    assert adversary_of(config_of(adversary="fgsm", adversary_norm="l2")) == ONE_STEP


def test_the_step_size_of_linf_is_what_it_was():
    """The default is the same to the last bit, because it is part of a trial's identity."""
    config = Config(adversary="pgd", adversary_radius=0.1, adversary_steps=7)
    assert config.adversary_step_size == 4 * 0.1 / (3 * 7)


def test_a_norm_without_an_adversary_is_refused():
    with pytest.raises(ValueError, match="'adversary_norm' is l2 and there is no adversary"):
        Config(adversary_norm="l2")
