"""The ℓ2 minimum-norm search beside public minimum-norm attacks: how near each comes to the
envelope, the nearest change that any of them finds.

    make bench
    .venv/bin/python -m tests.benchmarks.attack_envelope [points: 60] [nets: mlp cnn]

MLPs of three widths and Madry et al.'s CNN of two capacities, trained on MNIST digits; rightly
classified held-out digits; ℓ2 in pixels' own numbers, without a box. For each attack:

- local optimality: the mean over points of the envelope's distance over the attack's, 0 where it
  found nothing (1 = the best known everywhere);
- the same over the envelope of the public attacks alone, where a point counts at most 1;
- the mean distance over the envelope's;
- the share of points more than 1 % above the envelope;
- passes: forward and backward passes a point, each counted as one;
- processor seconds a net, one thread.

foolbox and FAB of pyautoattack come with the `bench` extra, the Adversarial Robustness Toolbox with
the `test` extra. adv-lib takes part where it can be imported. Attacks that need a box get one of
[-1, 2], which is too far off to matter.
"""

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from harness.measures.boundary import DEFAULT, Effort, changing, l2_distance, nearest_change
from harness.measures.points import Draw, Probe
from harness.task import Data, Seeds
from harness.training.program import Model
from harness.training.stack import Alone
from tests.benchmarks.trained_digits import trained

warnings.simplefilter("ignore")  # foolbox 3.3.4 imports a name that scipy 2 drops

NETS = {
    "mlp": [{"width": 16}, {"width": 64}, {"width": 256}],
    "cnn": [{"model": "cnn", "capacity": 1}, {"model": "cnn", "capacity": 2}],
}
LOW, HIGH = -1.0, 2.0
"""The box of attacks that need one, around pixels in [0, 1]."""

EFFORTS = {
    "ours": DEFAULT,
    "ours, 12 steps, 1 rival": Effort(steps=12, rivals=1, restarts=0),
    "ours, 32 steps, 1 rival": Effort(rivals=1, restarts=0),
    "ours, without restarts": Effort(restarts=0),
    "ours, 100 steps, 3 rivals": Effort(steps=100, rivals=3, restarts=0),
    "ours, 1 restart": Effort(restarts=1),
    "ours, 3 restarts": Effort(restarts=3, worth=0),
    "ours, 8 restarts": Effort(worth=0),
    "ours, 8 of 48 steps": Effort(restart_steps=48, worth=0),
}
"""Choices of the search's effort; the first is the default."""

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(net, inputs, labels) to inputs with other labels, as near as the attack finds them."""


class Counted(nn.Module):
    """A function that counts the inputs which pass through it, forwards and backwards."""

    def __init__(self, function: Model):
        super().__init__()
        self.function = function
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += len(x)
        output = self.function(x)
        if output.requires_grad:
            output.register_hook(self._count_backward)
        return output

    def _count_backward(self, gradient: Tensor) -> None:
        self.passes += len(gradient)


class Found(NamedTuple):
    """What one attack found on one net: distances (B,), passes a point, processor seconds."""

    distance: Tensor
    passes: float
    seconds: float


def ours(net: nn.Module, data: Data, draw: Draw, right: Tensor, effort: Effort) -> Found:
    """Search from all points of the draw, as a trial does. The distances are those of `right`."""
    clock = time.process_time()
    probe = Probe(Alone(net), [data], [draw])
    view = probe.row_space
    model = Counted(view.model)
    starts = view.coordinates(draw.starts)[None]
    wander = torch.stack([view.coordinates(directions) for directions in draw.wander])
    at = probe.coordinates("x")
    change = nearest_change(model, at, starts, data.classes, wander, effort=effort).change
    change = changing(probe.model, probe.x, view.inputs(probe.x, change), data.classes)
    seconds = time.process_time() - clock
    distance = draw.unit * l2_distance(probe.x, change)
    return Found(distance[right], model.passes / len(at), seconds)


def theirs(attack: Attack, net: nn.Module, x: Tensor, y: Tensor) -> Found:
    """Run one attack; what it returns counts where the label is another."""
    model = Counted(net).eval()
    torch.manual_seed(0)
    clock = time.process_time()
    z = attack(model, x, y)
    seconds = time.process_time() - clock
    with torch.no_grad():
        changed = net(z).argmax(1) != y
    distance = torch.where(changed, l2_distance(x, z), torch.inf)
    return Found(distance, model.passes / len(x), seconds)


class Unboxed(nn.Module):
    """A net as a function of inputs scaled from [LOW, HIGH] to [0, 1]."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z * (HIGH - LOW) + LOW)


def in_unit_box(attack: Attack) -> Attack:
    """Return an attack for inputs in [0, 1] as one for inputs in [LOW, HIGH]."""

    def attack_scaled(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        z = attack(Unboxed(net).eval(), (x - LOW) / (HIGH - LOW), y)
        return z.detach() * (HIGH - LOW) + LOW

    return attack_scaled


def foolbox_attacks() -> dict[str, Attack]:
    from foolbox import attacks  # pyright: ignore[reportMissingImports]
    from foolbox.models.pytorch import PyTorchModel  # pyright: ignore[reportMissingImports]

    def named(attack: Any) -> Attack:
        def run(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            model = PyTorchModel(net, bounds=(LOW, HIGH), device="cpu")
            return attack.run(model, x, y)

        return run

    return {
        "foolbox DDN, 200 steps": named(attacks.DDNAttack(steps=200)),
        "foolbox FMN, 200 steps": named(attacks.L2FMNAttack(steps=200)),
        "foolbox DeepFool": named(attacks.L2DeepFoolAttack(overshoot=1e-4)),
        "foolbox C&W, 5 × 200 steps": named(
            attacks.L2CarliniWagnerAttack(
                binary_search_steps=5, steps=200, stepsize=0.05, initial_const=1.0
            )
        ),
    }


def art_attacks() -> dict[str, Attack]:
    from art.attacks.evasion import CarliniL2Method, DeepFool
    from art.estimators.classification import PyTorchClassifier

    def named(make: Callable[[Any], Any]) -> Attack:
        def run(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            box = (LOW, HIGH)
            classifier = PyTorchClassifier(
                net,
                nn.CrossEntropyLoss(),
                tuple(x.shape[1:]),
                10,
                clip_values=box,
                device_type="cpu",
            )
            return torch.from_numpy(make(classifier).generate(x.numpy(), y.numpy()))

        return run

    return {
        "ART DeepFool": named(
            lambda net: DeepFool(net, epsilon=1e-4, batch_size=1000, verbose=False)
        ),
        "ART C&W, 5 × 20 steps": named(
            lambda net: CarliniL2Method(
                net,
                binary_search_steps=5,
                max_iter=20,
                initial_const=1.0,
                learning_rate=0.05,
                batch_size=1000,
                verbose=False,
            )
        ),
    }


def fab_attacks() -> dict[str, Attack]:
    from pyautoattack.fab_pt import FABAttack_PT  # pyright: ignore[reportMissingImports]

    def run(net: nn.Module, x: Tensor, y: Tensor, targeted: bool) -> Tensor:
        attack = FABAttack_PT(
            net, norm="L2", n_iter=50, eps=10.0, device=torch.device("cpu"), targeted=targeted,
            n_target_classes=3, verbose=False,
        )  # fmt: skip
        return attack.perturb(x, y)

    return {"FAB, 50 steps": in_unit_box(lambda net, x, y: run(net, x, y, targeted=False))}


def adv_lib_attacks() -> dict[str, Attack]:
    # adv-lib imports both of these, and none of the attacks below uses them. visdom does not build
    # everywhere, and torchvision must match torch to the digit.
    for unused in ("visdom", "torchvision", "torchvision.models"):
        sys.modules.setdefault(unused, ModuleType(unused))

    from adv_lib import attacks  # pyright: ignore[reportMissingImports]

    scale = HIGH - LOW
    return {
        "ALMA, 1 000 steps": in_unit_box(
            lambda net, x, y: attacks.alma(
                net, x, y, num_steps=1000, distance="l2", init_lr_distance=0.5 / scale
            )
        ),
        "adv-lib DDN, 500 steps": in_unit_box(
            lambda net, x, y: attacks.ddn(net, x, y, steps=500, init_norm=1 / scale, levels=None)
        ),
        "adv-lib FMN, 500 steps": in_unit_box(
            lambda net, x, y: attacks.fmn(net, x, y, norm=2, steps=500, α_init=1 / scale)
        ),
        "PDGD, 500 steps": in_unit_box(lambda net, x, y: attacks.pdgd(net, x, y)),
        "SuperDeepFool": in_unit_box(lambda net, x, y: attacks.sdf(net, x, y, overshoot=1e-4)),
    }


SOURCES = {
    "foolbox": foolbox_attacks,
    "Adversarial Robustness Toolbox": art_attacks,
    "pyautoattack": fab_attacks,
    "adv-lib": adv_lib_attacks,
}


def importable() -> dict[str, Attack]:
    """Return the attacks of every library that can be imported, and say which cannot."""
    attacks: dict[str, Attack] = {}
    for name, source in SOURCES.items():
        try:
            attacks |= source()
        except ImportError as e:
            print(f"without {name}: {e}")
    return attacks


def on_net(net: nn.Module, data: Data, points: int, attacks: dict[str, Attack]) -> dict[str, Found]:
    """Return what each search and attack found on one net. An attack that fails is named."""
    draw = Draw(data, Seeds(0), points)
    x, y = data.x_test[draw.rows], draw.y
    with torch.no_grad():
        right = net(x).argmax(1) == y
    found = {name: ours(net, data, draw, right, effort) for name, effort in EFFORTS.items()}
    for name, attack in attacks.items():
        try:
            found[name] = theirs(attack, net, x[right], y[right])
        except Exception as e:
            print(f"{name} failed: {type(e).__name__}: {str(e)[:100]}")
    return found


def rows(by_net: list[dict[str, Found]]) -> Iterator[dict[str, Any]]:
    """Yield each attack's figures over all nets of a family, the nearest to the envelope first."""
    envelopes = [torch.stack([f.distance for f in found.values()]).amin(0) for found in by_net]
    names = set.intersection(*(set(found) for found in by_net))
    public = [
        torch.stack([f.distance for name, f in found.items() if name not in EFFORTS]).amin(0)
        for found in by_net
    ]
    figures = []
    for name in names:
        of_nets = [found[name] for found in by_net]
        distance = torch.cat([f.distance for f in of_nets])
        envelope = torch.cat(envelopes)
        figures.append(
            {
                "attack": name,
                "local optimality": float((envelope / distance).mean()),
                "over public": float((torch.cat(public) / distance).clamp(max=1).mean()),
                "mean / envelope": float(distance.mean() / envelope.mean()),
                "over 1 % above": float((distance > 1.01 * envelope).float().mean()),
                "passes": sum(f.passes for f in of_nets) / len(of_nets),
                "seconds": sum(f.seconds for f in of_nets) / len(of_nets),
            }
        )
    yield from sorted(figures, key=lambda row: -row["local optimality"])


def main(points: int, families: list[str]) -> None:
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    attacks = importable()
    results: dict[str, list[dict[str, Any]]] = {}
    for family in families:
        data, nets = trained(NETS[family])
        found = [on_net(net, data, points, attacks) for net in nets]
        results[family] = list(rows(found))

        print(f"\n{len(nets)} {family}s, {points} points each")
        print(
            f"{'':<28}{'optimality':>11}{'over public':>12}{'mean/env.':>11}{'>1 % above':>12}"
            f"{'passes':>8}{'s':>8}"
        )
        for row in results[family]:
            print(
                f"{row['attack']:<28}{row['local optimality']:>11.4f}{row['over public']:>12.4f}"
                f"{row['mean / envelope']:>11.4f}{row['over 1 % above']:>12.2f}"
                f"{row['passes']:>8.0f}{row['seconds']:>8.2f}",
                flush=True,
            )
    print(json.dumps(results, ensure_ascii=False))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60, sys.argv[2:] or list(NETS))
