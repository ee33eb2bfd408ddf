"""What a stronger attack takes off the frontier's radii, and what a certificate leaves of them.

    python -m tests.benchmarks.attack_gap [SEEDS]

A tenth of the cells of the shipped sweep `frontier` is searched anew. Each radius is verified as
the sweep does it, then by ten times the attack: ten times the steps from as many random beginnings,
and ten times the beginnings. Beside it stands a radius that no attack can lower: the R*/2-quantile
of |f(x)| over the product of the layers' spectral norms, an upper bound on the Lipschitz constant,
0 where the answer is wrong.

Prints a line for each cell, and the slopes in log p and log d of the log ratio of both radii, with
95 % intervals: what a stronger attack moves an exponent by (wanted: at most .02). Takes about an
hour on one core.
"""

import math
import sys

import numpy as np
import torch
from torch import Tensor, nn

from harness.measures.frontier_columns import (
    LOWEST,
    ROUNDS,
    VERIFICATION,
    losing_distances_of,
)
from harness.measures.points import TrainingDraw
from harness.sweeps.registry import TaskRef, load_samples
from harness.task import Data, Seeds
from harness.training.frontier import most_robust_fits
from harness.training.robust_error import ROUNDING, Attack, Points, own_distances
from harness.training.stack import stack
from reports.fits.common_slope import common_slope

CELLS = (
    (1024, 32, 30),
    (1024, 128, 8),
    (1024, 128, 32),
    (1024, 512, 4),
    (256, 256, 2),
    (256, 256, 8),
    (256, 256, 32),
    (256, 256, 127),
    (256, 64, 16),
    (256, 64, 124),
)
"""n, d and width of cells of the sweep, from its dimensions and from its climb."""
STRONGER = (
    Attack(10 * VERIFICATION.steps, VERIFICATION.starts),
    Attack(VERIFICATION.steps, 10 * VERIFICATION.starts),
)


def verified(net: nn.Module, data: Data, high: float, seeds: Seeds) -> tuple[float, float]:
    """Return the radius by the sweep's own verification, and by that and both stronger attacks."""
    draw = TrainingDraw(data, seeds, data.unit(), len(data.x_train))
    program = stack([net], data.x_train[:4])
    program.train(False)
    distance = losing_distances_of(program, data, draw, high, seeds, 4096)
    own = _radius(distance, data, high)

    budget = torch.tensor([data.noise.bayes_error / 2]).double()
    points = Points(draw.x[None] * draw.unit, draw.y[None], data.classes, budget, 4096)
    top = budget.new_tensor([own])
    for attack in STRONGER:
        generators = [torch.Generator().manual_seed(1)]
        found = own_distances(program, points, LOWEST * top, top, ROUNDS, attack, generators)
        distance = torch.minimum(distance, found[0].to(distance))
    return own, _radius(distance, data, own)


def _radius(distance: Tensor, data: Data, high: float) -> float:
    lost_at_most = math.floor(len(distance) * data.noise.bayes_error / 2 + ROUNDING)
    return min(float(distance.sort().values[lost_at_most]), high)


def certified(net: nn.Module, data: Data) -> float:
    """Return the radius that the product of spectral norms proves."""
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    bound = math.prod(float(torch.linalg.matrix_norm(la.weight.double(), 2)) for la in layers)
    with torch.no_grad():
        margin = (net(data.x_train).flatten() * data.y_train).clamp(min=0)
    return _radius(margin.double() / bound, data, math.inf)


def main(seeds: int) -> None:
    """Print a line for each cell, and the slopes."""
    torch.set_num_threads(1)
    task = load_samples(TaskRef("sphere"))
    rows = []
    print("| n | d | width | p | r* | ten times the attack | certified |")
    print("|---|---|---|---|---|---|---|")
    for n, d, width in CELLS:
        fields = {"n": n, "d": d, "width": width, "frontier": "adversary", "lr": 0.005}
        fields |= {"batch_size": 4096, "max_epochs": 600}
        config = task.Config.model_validate(fields)
        draws = [Seeds(seed) for seed in range(seeds)]
        samples = [task.data(config, own) for own in draws]
        torch.manual_seed(0)
        nets = [task.model(config) for _ in draws]
        found = most_robust_fits(nets, samples, [config] * seeds, draws)

        of_cell = []
        for fit, data, own in zip(found, samples, draws, strict=True):
            net = fit.best.model.eval()
            radius, stronger = verified(net, data, fit.best.radius, own)
            of_cell.append((radius, stronger / radius, certified(net, data) / radius))
        p = sum(w.numel() for w in nets[0].parameters())
        radius, stronger, proved = np.exp(np.log(of_cell).mean(0))
        line = f"| {n:,} | {d} | {width} | {p:,} | {radius:.4f} | {stronger:.4f} of it"
        print(f"{line} | {proved:.3f} of it |", flush=True)
        rows += [(n, d, width, p, math.log(ratio)) for _, ratio, _ in of_cell]

    n, d, width, p, log_ratio = (np.array(column) for column in zip(*rows, strict=True))
    cell = np.array([f"{a} {b} {c}" for a, b, c in zip(n, d, width, strict=True)])
    curve = np.array([f"{a} {b}" for a, b in zip(n, d, strict=True)])
    of_p = common_slope(np.log(p), log_ratio, curve, cell)
    few = p / n < 5
    of_d = common_slope(np.log(d)[few], log_ratio[few], n[few], cell[few])
    for name, slope in (("log p at fixed n and d", of_p), ("log d at p/n up to 4", of_d)):
        print(f"slope in {name}: {slope.slope:+.4f} ({slope.low:+.4f} to {slope.high:+.4f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
