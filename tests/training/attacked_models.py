"""Make models, points and adversaries for the tests of adversarial training."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from harness.noise import resample_labels
from harness.task import Config, Data, Seeds
from harness.training.adversary import Adversary, perturb, random_offsets
from harness.training.evaluation import sample_losses
from harness.training.stack import Alone
from tasks.mnist import Mnist, MnistConfig
from tasks.models import mlp
from tests.training.toy_models import seeded

D = 12
UNIT_BOX = (0.0, 1.0)
BOXES = [None, UNIT_BOX, (-0.5, 2.0)]


def fgsm(radius: float) -> Adversary:
    return Adversary(radius, steps=1, step_size=radius, random_start=False)


FGSM = fgsm(0.3)
PGD = Adversary(radius=0.3, steps=10, step_size=0.075, random_start=True)

KINDS = {"fgsm": {"adversary": "fgsm"}, "pgd": {"adversary": "pgd", "adversary_steps": 5}}
"""Fields of a Config that ask for an adversary."""


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def starts(groups: int) -> list[torch.Generator]:
    return [Seeds(seed).generator("adversary") for seed in range(groups)]


def adversarial_inputs(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    classes: int | None,
    adversary: Adversary,
    box: tuple[float, float] | None,
) -> Tensor:
    """Return the adversarial inputs of one model, (B, *shape)."""
    losses_of = partial(sample_losses, y=y, classes=classes)
    offsets = random_offsets(adversary, starts(1), x[None])
    return perturb(Alone(model), x[None], 1, losses_of, adversary, box, offsets)[0]


def losses(model: nn.Module, x: Tensor, y: Tensor, classes: int | None) -> Tensor:
    with torch.no_grad():
        return sample_losses(model(x), y, classes)


def cnn(capacity: int) -> nn.Module:
    return Mnist().model(MnistConfig(head="digits", stop="epochs", model="cnn", capacity=capacity))


NETS: dict[str, tuple[Callable[[int], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda width: mlp(D, width, 1, 3), (D,)),
    "deeper": (lambda width: mlp(D, width, 2, 3), (D,)),
    "cnn": (lambda width: cnn(1 + width % 2), (1, 28, 28)),
}
"""Name → a function from a width to a model of three classes (the CNN: ten), and the shape of an
input."""

WIDTHS = (8, 3, 5)
N = 20


def samples(shape: tuple[int, ...], seed: int, n: int = N) -> Data:
    """Return samples of three classes, in double precision, where rounding flips no gradient's
    sign."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(n, *shape, generator=draw).double()
    y, noise = resample_labels((3 * x.flatten(1)[:, 0]).long(), 3, 0.2, draw)
    return Data(x, y, x[:4], y[:4], noise, classes=3, box=UNIT_BOX)


def models(net: str, groups: int) -> list[nn.Module]:
    """Return models of WIDTHS for each group."""
    return [
        seeded(lambda width=width: NETS[net][0](width), i).double()
        for i, width in enumerate(WIDTHS * groups)
    ]


def config_of(n: int = N, **about: Any) -> Config:
    return Config.model_validate(
        {
            "n": n,
            "batch_size": 10,
            "stop": "epochs",
            "max_epochs": 10,
            "adversary_radius": 0.3,
            **about,
        }
    )
