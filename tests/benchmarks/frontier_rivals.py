"""The search for the most robust fit beside adversarial training as a user would write it: ART's
`AdversarialTrainer`, and a plain loop around foolbox's `L2PGD`. Processor seconds a model, at the
same verified radius.

    .venv/bin/python -m tests.benchmarks.frontier_rivals [trials searched together: 16]

`make bench` installs what it needs.

Pure ±1 noise on the sphere, one hidden layer. Ours searches each trial's r* from nothing, with all
trials and radii in one stack. A rival is told r*, trains one model at AIM times that radius against
ten steps of PGD, and stops as soon as its verified radius reaches REACH of r*. The time that
verifying takes is not counted. One thread; processor seconds, because a shared machine's clock says
little.
"""

import sys
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from harness.measures.frontier_columns import ROUNDS, VERIFICATION
from harness.sweeps.registry import TaskRef, load_samples
from harness.task import Data, Seeds
from harness.training.frontier import most_robust_fits
from harness.training.robust_error import Points, own_radius
from harness.training.stack import stack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # foolbox 3.3.4 imports a name that scipy 2 drops
    from foolbox.attacks import L2PGD  # pyright: ignore[reportMissingImports]
    from foolbox.models.pytorch import PyTorchModel  # pyright: ignore[reportMissingImports]

FIELDS = {"n": 256, "d": 64, "width": 16, "lr": 0.005, "batch_size": 4096, "max_epochs": 600}
AIM, REACH = 1.1, 0.9
STEPS, STEP = 10, 2.5
"""PGD's steps, and the length of one as a multiple of radius / STEPS (Madry et al. 2018)."""
EPOCHS, AT_MOST = 50, 1000
"""A rival is verified after every EPOCHS epochs, and given up after AT_MOST."""
BATCH = 128


class TwoLogits(nn.Module):
    """The model f as one of two classes with logits −f and f, which both libraries ask for."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        f = self.net(x).reshape(-1, 1)
        return torch.cat([-f, f], dim=1)


Train = Callable[[TwoLogits, Data, float], Callable[[], None]]
"""(net, data, radius) to a function that trains for EPOCHS more epochs."""


class Rival(NamedTuple):
    seconds: float
    epochs: int
    reached: float
    """The largest verified radius on its way, over the r* that our search found."""


def with_art(net: TwoLogits, data: Data, radius: float) -> Callable[[], None]:
    classifier = PyTorchClassifier(
        net,
        nn.CrossEntropyLoss(),
        (data.x_train.shape[1],),
        2,
        torch.optim.Adam(net.parameters(), lr=FIELDS["lr"]),
        device_type="cpu",
    )
    attack = ProjectedGradientDescentPyTorch(
        classifier,
        norm=2,
        eps=radius,
        eps_step=STEP * radius / STEPS,
        max_iter=STEPS,
        batch_size=BATCH,
        num_random_init=1,
        verbose=False,
    )
    trainer = AdversarialTrainer(classifier, attack, ratio=1.0)
    x, y = data.x_train.numpy(), (data.y_train > 0).long().numpy()

    def more() -> None:
        trainer.fit(x, y, batch_size=BATCH, nb_epochs=EPOCHS)

    return more


def with_foolbox(net: TwoLogits, data: Data, radius: float) -> Callable[[], None]:
    optimiser = torch.optim.Adam(net.parameters(), lr=FIELDS["lr"])
    attack = L2PGD(abs_stepsize=STEP * radius / STEPS, steps=STEPS, random_start=True)
    labels = (data.y_train > 0).long()

    def more() -> None:
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(labels)).split(BATCH):
                net.eval()
                model = PyTorchModel(net, bounds=(-2.0, 2.0), device="cpu")
                at = attack.run(model, data.x_train[batch], labels[batch], epsilon=radius)
                net.train()
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(at), labels[batch]).backward()
                optimiser.step()

    return more


def verified_radius(net: nn.Module, data: Data, high: float) -> float:
    """Return the largest radius up to `high` at which the verification of a search loses no more
    than R*/2 of the training points."""
    program = stack([net.eval()], data.x_train[:4])
    budget = torch.tensor([data.noise.bayes_error / 2]).double()
    points = Points(data.x_train[None], data.y_train[None], data.classes, budget, 4096)
    ends = torch.tensor([0.3 * high, high]).double()
    draws = [Seeds(0).generator("verification")]
    found = own_radius(program, points, ends[:1], ends[1:], ROUNDS, VERIFICATION, draws)
    return float(found)


def rival(train: Train, net: nn.Module, data: Data, radius: float) -> Rival:
    """Train as a user would until the model is REACH times as robust as ours."""
    torch.manual_seed(0)
    more = train(TwoLogits(net), data, AIM * radius)
    seconds, reached, epochs = 0.0, 0.0, 0
    while epochs < AT_MOST and reached < REACH:
        clock = time.process_time()
        more()
        seconds += time.process_time() - clock
        epochs += EPOCHS
        reached = max(reached, verified_radius(net, data, 1.5 * radius) / radius)
    return Rival(seconds, epochs, reached)


def main(trials: int) -> None:
    torch.set_num_threads(1)
    task = load_samples(TaskRef("sphere"))
    config = task.Config.model_validate({**FIELDS, "frontier": "adversary"})
    seeds = [Seeds(seed) for seed in range(trials)]
    samples = [task.data(config, of_trial) for of_trial in seeds]
    torch.manual_seed(0)
    nets = [task.model(config) for _ in seeds]

    clock = time.process_time()
    found = most_robust_fits(nets, samples, [config] * trials, seeds)
    seconds = (time.process_time() - clock) / trials
    first = found[0].best
    radius = verified_radius(first.model, samples[0], first.radius)
    trainings = len(found[0].tried)
    print(f"ours: r* {radius:.4f}, {seconds:.2f} s a search of {trainings} trainings", flush=True)

    for name, train in (("ART", with_art), ("foolbox", with_foolbox)):
        of = rival(train, nets[0], samples[0], radius)
        nets[0] = task.model(config)  # each from a fresh start
        print(
            f"{name}: {of.reached:.3f} of r* after {of.epochs} epochs, {of.seconds:.1f} s a model:"
            f" {of.seconds / seconds:.1f} times a search, {of.seconds * trainings / seconds:.0f}"
            " times one of its trainings",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
