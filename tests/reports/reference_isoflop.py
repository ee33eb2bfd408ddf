"""Find the best size of each budget again, by a general search over the exponents that budgets
share and by normal equations."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize


class Budget(NamedTuple):
    """cells: columns n, d and loss. compute: in FLOP."""

    cells: pd.DataFrame
    compute: float


def best_sizes(budgets: dict[str, Budget]) -> dict[str, float]:
    """Return N of least loss between the ends of each budget's sizes."""
    spare = sum(len(own.cells) - 3 for own in budgets.values())
    columns = {
        name: own.cells[["n", "d", "loss"]].to_numpy(float).T for name, own in budgets.items()
    }

    def cost(exponents: np.ndarray) -> float:
        squares = sum(_fitted(own, exponents)[1] for own in columns.values())
        off = (exponents - np.log(0.35)) / np.log(2)
        return spare * np.log(squares) + off @ off

    start = np.log([0.3, 0.5])
    found = minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10})
    alpha, beta = np.exp(found.x)
    sizes = {}
    for name, (cells, compute) in budgets.items():
        (_, a, b), _ = _fitted(columns[name], found.x)
        n = np.geomspace(cells["n"].min(), cells["n"].max(), 100_001)
        d = compute / 6 / n
        loss = a * np.exp(-alpha * (np.log(n) - 10)) + b * np.exp(-beta * (np.log(d) - 14))
        sizes[name] = n[loss.argmin()]
    return sizes


def _fitted(columns: np.ndarray, exponents: np.ndarray) -> tuple[np.ndarray, float]:
    """Return coefficients of least squares and the squares that they leave, relative to the mean
    loss. columns: n, d and loss of the cells, (3, cells)."""
    n, d, loss = columns
    alpha, beta = np.exp(exponents)
    falling = np.exp(-alpha * (np.log(n) - 10))
    rising = np.exp(-beta * (np.log(d) - 14))
    design = np.stack([np.ones(len(n)), falling, rising], axis=1)
    y = loss / loss.mean()
    c = np.linalg.solve(design.T @ design, design.T @ y)
    return c, float(np.sum((y - design @ c) ** 2))
