"""Seconds of a Chinchilla fit to 240 points, and of its bootstrap, beside its rivals.

    .venv/bin/python -m tests.benchmarks.fit_speed [TABLE.csv]

The table is planted: 240 points of the design of Hoffmann et al. 2022, at the parameters of
Besiroglu et al. 2024. A real one, with columns Model Size, Training FLOP and loss, such as theirs
(github.com/epoch-research/analyzing-chinchilla, data/svg_extracted_data.csv), takes its place where
it is named. As in their paper, its five highest losses are left out. The rivals minimise the same
objective:

- *scipy*: L-BFGS from 4 500 starts on the grid of Hoffmann et al. 2022, appendix D.3. A sample of
  the starts is run, and its time multiplied.
- *variable projection*: a grid of exponents, coefficients by non-negative least squares, and L-BFGS
  from the best.
- *chinchilla* (PyPI 0.2), where it can be imported: its BFGS from a sample of the same starts, with
  its own log-Huber at δ = 1e-3, its time multiplied likewise.

One JSON object: seconds of CPU time on one thread, objectives at the minimum, exponents.
"""

import csv
import json
import sys
import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.optimize import minimize, nnls

from reports.scaling.forms import FORMS
from reports.scaling.objective import HUBER
from reports.scaling.points import Points
from reports.scaling.problem import Minima, Problem

TRUTH = (1.8172, 477.8, 2143.0, 0.3473, 0.3672)
STARTS = list(product((-1, -0.5, 0, 0.5, 1), *[range(0, 26, 5)] * 2, *[(0, 0.5, 1, 1.5, 2)] * 2))
"""log E, log A, log B, α, β: 4 500 starts."""
TRIED = 45
REFITS = 4000
BATCH = 100


def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return N, D and losses of 240 points: isoFLOP curves and long runs, 0.5 % of noise with heavy
    tails."""
    rng = np.random.default_rng(0)
    compute = 10 ** rng.uniform(18.2, 21.5, 240)
    n = np.sqrt(compute / 120) * 4 ** rng.uniform(-1, 1, 240)
    d = compute / 6 / n
    e, a, b, alpha, beta = TRUTH
    loss = e + a * n**-alpha + b * d**-beta
    return n, d, loss * np.exp(0.005 * rng.standard_t(3, 240))


def published(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return N, D and losses of a real table without its five highest losses."""
    with open(path) as file:
        rows = list(csv.DictReader(file))
    n, flop, loss = (
        np.array([float(row[name]) for row in rows])
        for name in ("Model Size", "Training FLOP", "loss")
    )
    kept = np.sort(np.argsort(loss)[:-5])
    return n[kept], (flop / (6 * n))[kept], loss[kept]


def ours(points: Points) -> dict:
    """Time the fit and its refits."""

    def fit() -> tuple[float, Problem, Minima]:
        begun = time.process_time()
        problem = Problem.of(FORMS["chinchilla"], points, HUBER)
        found = problem.search()
        return time.process_time() - begun, problem, found

    seconds, problem, found = min((fit() for _ in range(5)), key=lambda timed: timed[0])
    count = problem.rows
    rng = np.random.default_rng(1)
    begun = time.process_time()
    for _ in range(REFITS // BATCH):
        times = rng.multinomial(count, np.full(count, 1 / count), size=BATCH)
        problem.refit(np.repeat(found.z[:1], BATCH, axis=0), times.astype(float))
    refits = time.process_time() - begun
    names = dict(zip(FORMS["chinchilla"].keys, problem.units(found.z[:1])[0], strict=True))
    return {
        "seconds": seconds,
        "seconds of 4000 refits": refits,
        "objective": float(found.cost[0]),
        "starts at the minimum": float(np.mean(found.cost <= found.cost[0] * 1.001)),
        **{name: float(value) for name, value in names.items()},
    }


def _objective(v: np.ndarray, n: np.ndarray, d: np.ndarray, log_loss: np.ndarray):
    """Return the objective and its gradient at log E, log A, log B, α, β."""
    terms = np.array([np.full(len(n), v[0]), v[1] - v[3] * np.log(n), v[2] - v[4] * np.log(d)])
    predicted = np.logaddexp.reduce(terms, axis=0)
    residual = predicted - log_loss
    delta = HUBER.delta
    size = np.abs(residual)
    cost = np.where(size <= delta, residual**2 / 2, delta * (size - delta / 2)).sum()
    pull = np.clip(residual, -delta, delta)
    share = np.exp(terms - predicted) * pull
    gradient = share.sum(1)
    return cost, np.array([*gradient, -(share[1] * np.log(n)).sum(), -(share[2] * np.log(d)).sum()])


def scipy_starts(n: np.ndarray, d: np.ndarray, loss: np.ndarray) -> dict:
    """Time L-BFGS from an even sample of the starts."""
    tried = [STARTS[i] for i in np.linspace(0, len(STARTS) - 1, TRIED).astype(int)]
    begun = time.process_time()
    costs = [
        minimize(_objective, start, (n, d, np.log(loss)), jac=True, method="L-BFGS-B").fun
        for start in tried
    ]
    seconds = time.process_time() - begun
    return {"seconds": seconds / TRIED * len(STARTS), "objective": float(min(costs))}


def variable_projection(n: np.ndarray, d: np.ndarray, loss: np.ndarray) -> dict:
    """Time a grid of exponents with coefficients by least squares, and a polish from the best."""
    begun = time.process_time()
    least, best = np.inf, np.zeros(5)
    for alpha, beta in product(np.linspace(0.05, 1.5, 30), repeat=2):
        design = np.column_stack([np.ones(len(n)), n**-alpha, d**-beta]) / loss[:, None]
        scale = design.max(0)
        coefficients, miss = nnls(design / scale, np.ones(len(n)))
        if miss < least:
            coefficients = np.log(np.maximum(coefficients / scale, 1e-12))
            least, best = miss, np.array([*coefficients, alpha, beta])
    found = minimize(_objective, best, (n, d, np.log(loss)), jac=True, method="L-BFGS-B")
    return {"seconds": time.process_time() - begun, "objective": float(found.fun)}


def peer(n: np.ndarray, d: np.ndarray, loss: np.ndarray) -> dict:
    """Time the fit of the package chinchilla from two starts on each axis, 32 in all."""
    Chinchilla = import_module("chinchilla").Chinchilla
    log_huber = import_module("chinchilla._metrics").log_huber

    axes = {"e": [-1, 1], "a": [0, 25], "b": [0, 25], "alpha": [0, 2], "beta": [0, 2]}
    with TemporaryDirectory() as folder:
        model = Chinchilla(
            folder, axes, loss_fn=partial(log_huber, delta=HUBER.delta), log_level=40
        )
        model.visualizer.optim = lambda *a, **b: None
        columns = {"C": 6 * n * d, "N": n, "D": d, "loss": loss}
        model.database.df = pd.DataFrame(columns)
        begun = time.process_time()
        model.fit(parallel=False)
        seconds = time.process_time() - begun
    v = np.array([np.log(model.E), np.log(model.A), np.log(model.B), model.alpha, model.beta])
    objective = _objective(v, n, d, np.log(loss))[0]
    return {"seconds": seconds / 32 * len(STARTS), "objective": float(objective)}


def main(arguments: list[str]) -> None:
    n, d, loss = published(arguments[0]) if arguments else planted()
    results = {
        "points": len(n),
        "unilaw": ours(Points({"N": n, "D": d}, loss)),
        "scipy, 4500 starts": scipy_starts(n, d, loss),
        "variable projection": variable_projection(n, d, loss),
    }
    if find_spec("chinchilla"):
        results["chinchilla 0.2, 4500 starts"] = peer(n, d, loss)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
