"""How far the search for the most robust fit falls short of a fit that is known to exist.

    python -m tests.benchmarks.search_gap [SEEDS]

A teacher is, of 20 two-layer ReLU nets of random weights, the one with the largest radius. It
labels points of the unit sphere in 16 dimensions: those of many candidates that lie farthest from
its boundary, by exact distances (every pattern of its neurons is tried); r0 is the least of them. A
quarter of the points then gets coin-flip labels anywhere, as many as may be lost. So the teacher
itself loses no more than allowed within r0, and r* ≥ r0 for nets of its size. The search begins
from PyTorch's initial weights and must reach r0. More than r0 is no defect: a random teacher is not
the most robust fit. So a share bounds the gap of the search from below, and only where it is under
1.

Prints a line for each size, and the slope of the logarithm of the share in log p and in log(p/n),
with 95 % intervals. Three seeds take some minutes on one core.
"""

import sys
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import linregress, t

from harness.measures.frontier_columns import frontier_columns
from harness.noise import Noise
from harness.task import Config, Data, Seeds
from harness.training.frontier import most_robust_fits
from tasks.models import mlp
from tests.measures.exact_distance import Net, exact_distance, random_net

DIMENSIONS = 16
CELLS = ((4, 73), (4, 36), (4, 18), (8, 145), (8, 72), (8, 36))
"""Width and number of points: p/n is 1, 2 and 4 for each width."""
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


def planted(width: int, n: int, seed: int) -> Planted:
    """Return n points that a net of this width fits within r0, all but ⌊n/4⌋ of them."""
    draw = np.random.default_rng([width, n, seed])
    x = draw.standard_normal((CANDIDATES * n, DIMENSIONS))
    x /= np.linalg.norm(x, axis=1, keepdims=True)

    lost = n // 4
    nets = [
        _balanced(random_net(DIMENSIONS, width, 1, TEACHERS * seed + i), x) for i in range(TEACHERS)
    ]
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


def shares(width: int, n: int, seeds: int, epochs: int = 300) -> list[float]:
    """Return the verified radius that the search finds over r0, for each seed."""
    problems = [planted(width, n, seed) for seed in range(seeds)]
    data = [problem.data for problem in problems]
    fields = {"frontier": "adversary", "n": n, "batch_size": 4096, "max_epochs": epochs, "lr": 0.01}
    configs = [Config.model_validate(fields)] * seeds

    torch.manual_seed(0)
    models = [mlp(DIMENSIONS, width, 1, 1) for _ in range(seeds)]
    search = [Seeds(seed) for seed in range(seeds)]
    fits = most_robust_fits(models, data, configs, search)
    found = []
    for fit, problem, own in zip(fits, problems, search, strict=True):
        columns = frontier_columns(fit, problem.data, own, configs[0].evaluated_together)
        found.append(columns["frontier_radius_l2"] / problem.r0)
    return found


def main(seeds: int) -> None:
    """Print the shares by size, and how they change with it."""
    log_share, log_p, log_ratio = [], [], []
    print("| width | p | n | p/n | share of r0, geometric mean | least | largest |")
    print("|---|---|---|---|---|---|---|")
    for width, n in CELLS:
        p = width * (DIMENSIONS + 2) + 1
        found = shares(width, n, seeds)
        logs = np.log(np.maximum(found, 1e-3))
        mean = float(np.exp(logs.mean()))
        line = f"| {width} | {p} | {n} | {p / n:.2f} | {mean:.3f}"
        print(f"{line} | {min(found):.3f} | {max(found):.3f} |", flush=True)
        log_share += logs.tolist()
        log_p += [np.log(p)] * seeds
        log_ratio += [np.log(p / n)] * seeds

    spread = float(np.std(log_share, ddof=1))
    print(f"\nall: {np.exp(np.mean(log_share)):.3f}, standard deviation of the log {spread:.3f}")
    for name, x in (("log p", log_p), ("log(p/n)", log_ratio)):
        slope, _, _, _, error = linregress(x, log_share)
        half = float(t.ppf(0.975, len(x) - 2)) * float(np.asarray(error))
        print(f"slope in {name}: {slope:+.3f} ± {half:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
