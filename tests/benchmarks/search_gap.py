"""How far the search for the most robust fit falls short of a fit that is known to exist.

    python -m tests.benchmarks.search_gap [SEEDS [FILE.csv]]

A teacher is, of 20 two-layer ReLU nets of random weights, the one with the largest radius. It
labels points of the unit sphere: those of many candidates that lie farthest from its boundary, by
exact distances (every pattern of its neurons is tried); r0 is the least of them. A quarter of the
points then gets coin-flip labels anywhere, as many as may be lost. So the teacher itself loses no
more than allowed within r0, and r* ≥ r0 for nets of its size. The search begins from PyTorch's
initial weights and must reach r0. More than r0 is no defect: a random teacher is not the most
robust fit. So a share bounds the gap of the search from below, and only where it is under 1.

Prints a line for each cell as it is found, then how the logarithm of the share goes with log d and
log(p/n), and writes FILE.csv, one row a search. The report reads such a file, shipped as
`reports/search_gap.csv`, and lets it widen the interval of each exponent of the frontier. Nets
wider than 8 neurons have no exact distance. Three seeds take about ten minutes on one core.
"""

import csv
import itertools
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from harness.measures.frontier_columns import frontier_columns
from harness.noise import Noise
from harness.task import Config, Data, Seeds
from harness.training.frontier import most_robust_fits
from reports.search_gap import ENOUGH, LEAST_SHARE, Gap, search_gap
from tasks.models import mlp
from tests.measures.exact_distance import Net, exact_distance, random_net

DIMENSIONS = (16, 64, 128)
WIDTHS = (4, 8)
RATIOS = (1, 2, 4)
"""p/n"""
CANDIDATES = 40
"""Points that are drawn for each one of the data set."""
TEACHERS = 20
"""Nets that are drawn for each problem. The one with the largest radius is the teacher: a smaller
radius is too easy to reach."""
COIN = Noise("additive_sign", None, 0.5, sigma2=1.0)


class Planted(NamedTuple):
    """Points with a fit of known radius r0, a length in their own numbers."""

    data: Data
    r0: float


def planted(d: int, width: int, n: int, seed: int) -> Planted:
    """Return n points of d numbers that a net of this width fits within r0, all but ⌊n/4⌋ of
    them."""
    draw = np.random.default_rng([d, width, n, seed])
    x = draw.standard_normal((CANDIDATES * n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)

    lost = n // 4
    nets = [_balanced(random_net(d, width, 1, TEACHERS * seed + i), x) for i in range(TEACHERS)]
    kept = (n - lost) / len(x)
    teacher = max(nets, key=lambda net: float(np.quantile(_first_order(net, x), 1 - kept)))
    far, r0 = _farthest(teacher, x, n - lost)
    anywhere = draw.permutation(np.setdiff1d(np.arange(len(x)), far))[:lost]
    y = np.concatenate([np.sign(teacher(x[far])[:, 0]), draw.choice([-1.0, 1.0], lost)])
    points = torch.tensor(np.concatenate([x[far], x[anywhere]])).float()
    labels = torch.tensor(y).float()
    return Planted(Data(points, labels, points.clone(), labels.clone(), COIN), r0)


def _balanced(net: Net, x: np.ndarray) -> Net:
    """Return the net with its last bias moved so that half of x lies on either side."""
    return Net(net.W, net.b, net.A, net.c - float(np.median(net(x))))


def _first_order(net: Net, x: np.ndarray) -> np.ndarray:
    """Return the distance (B,) of each x from the zero set of the net's affine piece around it."""
    active = (x @ net.W.T + net.b > 0) * net.A[0]
    return np.abs(net(x)[:, 0]) / np.maximum(np.linalg.norm(active @ net.W, axis=1), 1e-9)


def _farthest(teacher: Net, x: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Return the `count` points of x farthest from the teacher's boundary, half of them on
    either side, and the least of their exact distances."""
    values = teacher(x)[:, 0]
    first_order = _first_order(teacher, x)
    chosen = []
    for side, wanted in ((values > 0, count // 2), (values < 0, count - count // 2)):
        likely = np.flatnonzero(side)[np.argsort(-first_order[side])][: 4 * wanted]
        distance = exact_distance(teacher, x[likely], np.ones(1))
        best = np.argsort(-distance)[:wanted]
        chosen.append((likely[best], float(distance[best].min())))
    (one, near_one), (other, near_other) = chosen
    return np.concatenate([one, other]), min(near_one, near_other)


def shares(d: int, width: int, n: int, seeds: int, epochs: int = 600) -> list[float]:
    """Return the verified radius that the search finds over r0, for each seed."""
    problems = [planted(d, width, n, seed) for seed in range(seeds)]
    data = [problem.data for problem in problems]
    fields = {"frontier": "adversary", "n": n, "batch_size": 4096, "max_epochs": epochs}
    configs = [Config.model_validate({**fields, "lr": 0.005})] * seeds

    torch.manual_seed(0)
    models = [mlp(d, width, 1, 1) for _ in range(seeds)]
    search = [Seeds(seed) for seed in range(seeds)]
    fits = most_robust_fits(models, data, configs, search)
    found = []
    for fit, problem, own in zip(fits, problems, search, strict=True):
        columns = frontier_columns(fit, problem.data, own, configs[0].evaluated_together)
        found.append(columns["frontier_radius_l2"] / problem.r0)
    return found


def main(seeds: int, file: Path | None) -> None:
    """Print the shares by cell, and how they change with d and p/n; write them to the file."""
    gaps = []
    print("| d | width | p | n | p/n | share of r0, geometric mean | least | largest |")
    print("|---|---|---|---|---|---|---|---|")
    for d, width, ratio in itertools.product(DIMENSIONS, WIDTHS, RATIOS):
        p = width * (d + 2) + 1
        n = p // ratio
        found = shares(d, width, n, seeds)
        mean = float(np.exp(np.log(np.maximum(found, LEAST_SHARE)).mean()))
        line = f"| {d} | {width} | {p} | {n} | {p / n:.2f} | {mean:.3f}"
        print(f"{line} | {min(found):.3f} | {max(found):.3f} |", flush=True)
        gaps += [Gap(d, width, p, n, seed, round(share, 4)) for seed, share in enumerate(found)]

    if file:
        with file.open("w", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(Gap._fields)
            table.writerows(gaps)
    fit = search_gap(gaps)
    print(f"\nall: {fit.share:.3f}; {fit.below} of {fit.searches} below {ENOUGH}")
    for name, slope in (("log d", fit.of_d), ("log(p/n)", fit.of_p)):
        print(f"slope in {name}: {slope.slope:+.3f} ({slope.low:+.3f} to {slope.high:+.3f})")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 3,
        Path(sys.argv[2]) if len(sys.argv) > 2 else None,
    )
