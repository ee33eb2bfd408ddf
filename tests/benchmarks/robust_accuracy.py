"""Adversarial accuracy beside what a user would take instead, in one run: who breaks more points,
and processor seconds.

    make bench
    .venv/bin/python -m tests.benchmarks.robust_accuracy [nets beside AutoAttack: 2]

32 MLPs of widths 8 to 64 on MNIST digits, 200 held-out inputs, 8 radii: ℓ∞ on pixels in [0, 1], ℓ2
without a box. Ours is one search per norm for all radii, several nets at a time; PGD-40 of the
Adversarial Robustness Toolbox and of foolbox runs once per net and radius, on a few of the nets;
foolbox's also from five beginnings. Then AutoAttack (standard) at one radius per norm, for MLPs and
for Madry et al.'s CNN at c = 1 on fewer inputs. One thread each; processor seconds, because a
shared machine's clock says little.
"""

import json
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.estimators.classification import PyTorchClassifier
from pyautoattack import AutoAttack  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn

from harness.measures.at_points import nearest_l2, nearest_linf
from harness.measures.boundary import column, l2_distance
from harness.measures.gradients import margins
from harness.measures.points import Draw, Probe
from harness.measures.robust_accuracy import linf_distance
from harness.task import Data, Seeds
from harness.training.evaluation import predicted
from harness.training.stack import stack
from tests.benchmarks.trained_digits import trained

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # foolbox 3.3.4 imports a name that scipy 2 drops
    from foolbox.attacks import L2PGD, LinfPGD  # pyright: ignore[reportMissingImports]
    from foolbox.models.pytorch import PyTorchModel  # pyright: ignore[reportMissingImports]

Norm = Literal["linf", "l2"]
Attack = Callable[[nn.Module, Tensor, Tensor, Norm, float], Tensor]
"""(net, inputs, labels, norm, radius) to the inputs attacked."""

RADII: dict[Norm, tuple[float, ...]] = {
    "linf": (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1),
    "l2": (0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0),
}
"""In pixels' own numbers."""
AUTOATTACK_RADIUS: dict[Norm, float] = {"linf": 0.05, "l2": 0.8}
POINTS, CNN_POINTS = 200, 50
TOGETHER = 4
"""Nets per call of our searches."""
PGD_STEPS, PGD_STEP, PGD_NETS = 40, 2.5, 4
"""PGD's step is PGD_STEP · radius / PGD_STEPS (Madry et al. 2018)."""
FAR = 20.0
"""AutoAttack always clips to [0, 1]. For ℓ2 it sees inputs z as (z + FAR) / (2 FAR), whose box
is too far off to matter."""


class Ours(NamedTuple):
    """By norm: distances (nets, points), 0 where the net is wrong at the point itself; processor
    seconds of all nets.

    The ℓ∞ search begins at what the ℓ2 search found, whose seconds it does not contain.
    """

    distance: dict[Norm, Tensor]
    seconds: dict[Norm, float]


def ours(nets: Sequence[nn.Module], data: Data, draw: Draw) -> Ours:
    found: dict[Norm, list[Tensor]] = {"linf": [], "l2": []}
    seconds: dict[Norm, float] = {"linf": 0.0, "l2": 0.0}
    for begin in range(0, len(nets), TOGETHER):
        part = nets[begin : begin + TOGETHER]
        program, many = stack(part, data.x_test[:4]), len(part)
        program.train(False)
        right = torch.cat([net(data.x_test[draw.rows]).argmax(1) == draw.y for net in part])
        clock = time.process_time()
        probe = Probe(program, [data] * many, [draw] * many)
        at = probe.coordinates("x")
        # serves both norms
        model = probe.row_space.model
        at_x = margins(model, at, predicted(model(at), data.classes), data.classes)
        l2 = nearest_l2(probe, at_x).change
        between = time.process_time()
        linf = nearest_linf(probe, at_x, l2)
        seconds["l2"] += between - clock
        seconds["linf"] += time.process_time() - between
        distances: dict[Norm, Tensor] = {"l2": draw.unit * l2_distance(probe.x, l2), "linf": linf}
        for norm, distance in distances.items():
            found[norm].append(distance.masked_fill(~right, 0).unflatten(0, (many, -1)))
    return Ours({norm: torch.cat(parts) for norm, parts in found.items()}, seconds)


def art_pgd(net: nn.Module, x: Tensor, y: Tensor, norm: Norm, radius: float) -> Tensor:
    box = (0.0, 1.0) if norm == "linf" else None
    classifier = PyTorchClassifier(
        net, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=box, device_type="cpu"
    )
    attack = ProjectedGradientDescentPyTorch(
        classifier,
        norm=math.inf if norm == "linf" else 2,
        eps=radius,
        eps_step=PGD_STEP * radius / PGD_STEPS,
        max_iter=PGD_STEPS,
        batch_size=len(x),
        verbose=False,
    )
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def foolbox_pgd(
    net: nn.Module, x: Tensor, y: Tensor, norm: Norm, radius: float, at_random: bool = False
) -> Tensor:
    kind, box = (LinfPGD, (0, 1)) if norm == "linf" else (L2PGD, (-FAR, FAR))
    attack = kind(rel_stepsize=PGD_STEP / PGD_STEPS, steps=PGD_STEPS, random_start=at_random)
    return attack.run(PyTorchModel(net, bounds=box, device="cpu"), x, y, epsilon=radius)


def foolbox_pgd_five_times(
    net: nn.Module, x: Tensor, y: Tensor, norm: Norm, radius: float
) -> Tensor:
    """From the inputs themselves, then from four random beginnings in the ball: what comes
    nearer to the strength of our search."""
    found = foolbox_pgd(net, x, y, norm, radius)
    for k in range(4):
        torch.manual_seed(k)
        again = foolbox_pgd(net, x, y, norm, radius, at_random=True)
        found = torch.where(column(net(found).argmax(1) == y, x), again, found)
    return found


def autoattack(net: nn.Module, x: Tensor, y: Tensor, norm: Norm, radius: float) -> Tensor:
    if norm == "linf":
        return AutoAttack(net, norm="Linf", eps=radius, seed=0).run_standard_evaluation(x, y)[0]

    def shifted(z: Tensor) -> Tensor:
        return net(2 * FAR * z - FAR)

    attack = AutoAttack(shifted, norm="L2", eps=radius / (2 * FAR), seed=0)  # pyright: ignore[reportArgumentType]
    return 2 * FAR * attack.run_standard_evaluation((x + FAR) / (2 * FAR), y)[0] - FAR


class Beside(NamedTuple):
    """An attack at some radii: who still stands, (nets, radii, points), and its processor
    seconds."""

    stands: Tensor
    seconds: float


def beside(
    attack: Attack,
    nets: Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    norm: Norm,
    radii: Sequence[float],
) -> Beside:
    def stands(net: nn.Module, radius: float) -> Tensor:
        z = attack(net.eval(), x, y, norm, radius)
        length = linf_distance(x, z) if norm == "linf" else l2_distance(x, z)
        assert float(length.max()) <= radius * 1.001, "the attack left the ball"
        return net(z).argmax(1) == y

    clock = time.process_time()
    return Beside(
        torch.stack([torch.stack([stands(net, r) for r in radii]) for net in nets]),
        time.process_time() - clock,
    )


def spread(count: int, among: int) -> list[int]:
    """`count` indices below `among`, evenly spaced."""
    return [round(k * (among - 1) / max(count - 1, 1)) for k in range(count)]


def percent(stands: Tensor) -> float:
    return 100 * float(stands.double().mean())


def grid(nets: Sequence[nn.Module], mine: Ours, x: Tensor, y: Tensor) -> Iterator[dict[str, Any]]:
    """Our searches of all nets and radii beside PGD-40 on a few of the nets."""
    some = spread(PGD_NETS, len(nets))
    for norm, radii in RADII.items():
        per_net = {"ours": mine.seconds[norm] / len(nets)}
        accuracy = {"ours": [percent(mine.distance[norm][some] > r) for r in radii]}
        for name, attack in (
            ("ART", art_pgd),
            ("foolbox", foolbox_pgd),
            ("foolbox ×5", foolbox_pgd_five_times),
        ):
            theirs = beside(attack, [nets[k] for k in some], x, y, norm, radii)
            per_net[name] = theirs.seconds / len(some)
            accuracy[name] = [percent(theirs.stands[:, k]) for k in range(len(radii))]
        yield {"norm": norm, "radii": radii, "accuracy": accuracy, "seconds per net": per_net}


def beside_autoattack(
    family: str, nets: Sequence[nn.Module], mine: Ours, x: Tensor, y: Tensor
) -> Iterator[dict[str, Any]]:
    """One radius per norm: robust accuracy in per cent, and what each of ours and AutoAttack
    alone breaks."""
    for norm, radius in AUTOATTACK_RADIUS.items():
        our_stands = mine.distance[norm] > radius
        auto, pgd = (beside(attack, nets, x, y, norm, [radius]) for attack in (autoattack, art_pgd))
        gaps = [percent(a) - percent(b) for a, b in zip(our_stands, auto.stands[:, 0], strict=True)]
        yield {
            "family": family,
            "norm": norm,
            "radius": radius,
            "nets": len(nets),
            "points": len(x),
            "ours": percent(our_stands),
            "AutoAttack": percent(auto.stands),
            "ART PGD-40": percent(pgd.stands),
            "ours − AutoAttack": sum(gaps) / len(gaps),
            "worst net": max(gaps),
            "broken by AutoAttack alone": int((our_stands & ~auto.stands[:, 0]).sum()),
            "broken by ours alone": int((~our_stands & auto.stands[:, 0]).sum()),
            "AutoAttack seconds per net": auto.seconds / len(nets),
            "our seconds per net": sum(mine.seconds.values()) / len(nets),
        }


def main(nets_beside_autoattack: int) -> None:
    torch.set_num_threads(1)
    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    data, mlps = trained([{"width": round(8 + 56 * k / 31)} for k in range(32)])
    draw = Draw(data, Seeds(0), POINTS)
    x, y = data.x_test[draw.rows], draw.y
    ours(mlps[:TOGETHER], data, draw)  # the first call of anything is slow
    mine = ours(mlps, data, draw)
    tables = list(grid(mlps, mine, x, y))
    print(
        f"{len(mlps)} MLPs, {POINTS} inputs, 8 radii; robust accuracy in % on {PGD_NETS} of the"
        " nets"
    )
    for t in tables:
        print(
            f"  {t['norm']:<12} "
            + " ".join(f"{r:7.2f}" for r in t["radii"])
            + "   processor s per net, all radii"
        )
        for name, accuracies in t["accuracy"].items():
            seconds = t["seconds per net"]
            print(
                f"    {name:<10} "
                + " ".join(f"{a:7.2f}" for a in accuracies)
                + f"   {seconds[name]:6.3f}  {seconds[name] / seconds['ours']:6.1f} × ours"
            )
    both = {
        name: sum(t["seconds per net"][name] for t in tables)
        for name in tables[0]["seconds per net"]
    }
    print(
        "  both norms: "
        + ", ".join(f"{name} {s:.3f} s, {s / both['ours']:.1f} × ours" for name, s in both.items())
    )
    found = []
    some = spread(nets_beside_autoattack, len(mlps))
    few = Ours(
        {norm: d[some] for norm, d in mine.distance.items()},
        {n: s * len(some) / len(mlps) for n, s in mine.seconds.items()},
    )
    found += beside_autoattack("mlp", [mlps[k] for k in some], few, x, y)
    cnn_data, cnns = trained([{"model": "cnn"}] * nets_beside_autoattack)
    draw = Draw(cnn_data, Seeds(0), CNN_POINTS)
    found += beside_autoattack(
        "cnn", cnns, ours(cnns, cnn_data, draw), cnn_data.x_test[draw.rows], draw.y
    )
    for f in found:
        print(f"{f['family']} {f['norm']} {f['radius']}, {f['nets']} nets × {f['points']} inputs")
        print(
            f"  ours {f['ours']:.2f} %, AutoAttack {f['AutoAttack']:.2f} %, ART PGD-40"
            f" {f['ART PGD-40']:.2f} %"
        )
        print(
            f"  ours − AutoAttack: {f['ours − AutoAttack']:+.2f} points, worst net"
            f" {f['worst net']:+.2f}",
            end="; ",
        )
        print(
            f"broken by AutoAttack alone {f['broken by AutoAttack alone']}, by ours alone"
            f" {f['broken by ours alone']}"
        )
        theirs, own = f["AutoAttack seconds per net"], f["our seconds per net"]
        print(
            f"  processor s per net: AutoAttack at one radius {theirs:.2f}, ours at all radii of"
            f" both norms {own:.3f}: {theirs / own:.0f} ×"
        )
    print(json.dumps({"grid": tables, "beside AutoAttack": found}, ensure_ascii=False))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
