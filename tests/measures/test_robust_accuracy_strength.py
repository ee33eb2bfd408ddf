"""Our minimum-norm searches break at least as many points as the PGD of the Adversarial Robustness
Toolbox, at the same budget.

Budget: gradient evaluations per point. One of our searches serves every radius; PGD gets as many as
the whole search again at each radius: two runs of the default effort in ℓ2, of LINF_STEPS in ℓ∞.
The ℓ∞ search starts from what the ℓ2 search found. Twenty trained nets of widths 2 to 32; the nets
of a family are attacked in one batch.

Run alone: python -m pytest tests/measures/test_robust_accuracy_strength.py
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.measures import boundary, robust_accuracy
from harness.measures.margin_descent import WANDER_DIRECTIONS
from harness.sweeps.registry import TaskRef, load_samples
from harness.task import Data, Seeds
from harness.training.evaluation import predicted, wrong
from harness.training.loop import StackGroup, train
from harness.training.stack import Model, stack

WIDTHS = (2, 4, 6, 8, 12, 16, 20, 24, 28, 32)
POINTS = 50
TOLERANCE = 0.02
"""A single net's robust accuracy may exceed PGD's by this much, one point of fifty. Over all nets
of a family it may not exceed it."""

FAMILIES: dict[str, tuple[dict[str, Any], tuple[float, float] | None]] = {
    "sphere": ({"d": 16, "n": 256, "noise": 0.3, "stop": "epochs", "max_epochs": 60}, None),
    "mnist": (
        {"head": "digits", "n": 500, "label_resample": 0.2, "stop": "epochs", "max_epochs": 30},
        (0.0, 1.0),
    ),
}
RADII = {
    ("sphere", "l2"): (0.05, 0.1, 0.2),
    ("sphere", "linf"): (0.015, 0.03, 0.06),
    ("mnist", "l2"): (0.4, 0.8),
    ("mnist", "linf"): (0.01, 0.03, 0.06),
}
"""In the inputs' own numbers."""


class Trained(NamedTuple):
    """Nets of one family and their points, model-major. By norm, the nearest changes found and
    their distances."""

    model: Model
    data: Data
    x: Tensor
    y: Tensor
    right: Tensor
    changes: dict[str, Tensor]
    distance: dict[str, Tensor]


@functools.cache
def family(name: str) -> Trained:
    fields, box = FAMILIES[name]
    task, seeds, many = load_samples(TaskRef(name)), Seeds(0), len(WIDTHS)
    configs = [task.Config.model_validate({**fields, "width": width}) for width in WIDTHS]
    data, nets = task.data(configs[0], seeds), []
    for k, config in enumerate(configs):
        torch.manual_seed(k)
        nets.append(task.model(config))
    program = stack(nets, data.x_train[:4])
    train(program, [StackGroup(data, seeds.generator("order"), configs[0].lr)], configs)
    program = stack(nets, data.x_train[:4])  # with the final weights
    program.train(False)

    def model(z: Tensor) -> Tensor:
        return program(z.unflatten(0, (many, -1))).flatten(0, 1)

    x = data.x_test[:POINTS].repeat(many, *[1] * (data.x_test.dim() - 1))
    y, unit = data.y_test[:POINTS].repeat(many), data.unit()
    wander = torch.randn(WANDER_DIRECTIONS, *x.shape, generator=torch.Generator().manual_seed(0))
    starts = (data.x_train[:1024] / unit).expand(many, *data.x_train[:1024].shape)
    l2 = (
        unit
        * boundary.nearest_change(
            lambda z: model(z * unit), x / unit, starts, data.classes, wander
        ).change
    )
    linf = robust_accuracy.nearest_linf_change(model, x, l2, data.classes, box)
    right = ~wrong(model(x).detach(), y, data.classes)
    distance = {"l2": boundary.l2_distance(x, l2), "linf": robust_accuracy.linf_distance(x, linf)}
    return Trained(model, data, x, y, right, {"l2": l2, "linf": linf}, distance)


class Logits(nn.Module):
    """A family's model as a classifier of K classes; a ±1 target's f becomes the logits (−f, f)."""

    def __init__(self, model: Model, classes: int | None):
        super().__init__()
        self.model, self.classes = model, classes

    def forward(self, x: Tensor) -> Tensor:
        output = self.model(x)
        return torch.cat([-output, output], dim=1) if self.classes is None else output


def pgd(nets: Trained, box: tuple[float, float] | None, norm: str, radius: float) -> Tensor:
    """Return (M·B,) bool: still classified correctly after PGD with our budget, its step 2.5 ·
    radius / steps (Madry et al. 2018)."""
    steps = 2 * (boundary.DEFAULT.steps if norm == "l2" else robust_accuracy.LINF_STEPS)
    labels = nets.y if nets.data.classes else (nets.y >= 0).long()
    # here, because the other tests need not wait for scikit-learn and numba
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        Logits(nets.model, nets.data.classes),
        nn.CrossEntropyLoss(),
        tuple(nets.x.shape[1:]),
        nets.data.classes or 2,
        clip_values=box,
        device_type="cpu",
    )

    attack = ProjectedGradientDescentPyTorch(
        classifier,
        norm=np.inf if norm == "linf" else 2,
        eps=radius,
        eps_step=2.5 * radius / steps,
        max_iter=steps,
        batch_size=len(nets.x),
        verbose=False,
    )

    attacked = torch.from_numpy(attack.generate(nets.x.numpy(), labels.numpy()))
    return ~wrong(nets.model(attacked).detach(), nets.y, nets.data.classes)


def by_net(stands: Tensor) -> Tensor:
    return stands.double().unflatten(0, (len(WIDTHS), -1)).mean(1)


SOAKED = {"mnist": pytest.mark.soak}
"""Families that take long to train and attack."""

CASES = [
    pytest.param(name, norm, radius, marks=SOAKED.get(name, ()))
    for (name, norm), radii in RADII.items()
    for radius in radii
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "norm", "radius"), CASES)
def test_the_searches_break_what_pgd_breaks(name: str, norm: str, radius: float) -> None:
    nets = family(name)
    ours, theirs = (
        by_net(nets.right & (nets.distance[norm] > radius)),
        by_net(pgd(nets, FAMILIES[name][1], norm, radius)),
    )
    assert by_net(nets.right).mean() - 0.03 > theirs.mean() > 0.03, "the radius tells nothing"
    assert ours.mean() <= theirs.mean()
    assert (ours - theirs).max() <= TOLERANCE + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=SOAKED.get(name, ())) for name in FAMILIES]
)
def test_every_change_found_has_another_label(name: str, norm: str) -> None:
    """Otherwise a search that claims changes nearer than they are would pass the test above."""
    nets, box = family(name), FAMILIES[name][1]
    change = nets.changes[norm]
    assert change.isfinite().all()
    assert (
        predicted(nets.model(change), nets.data.classes)
        != predicted(nets.model(nets.x), nets.data.classes)
    ).all()
    if norm == "linf" and box:
        assert (change >= box[0]).all() and (change <= box[1]).all()
