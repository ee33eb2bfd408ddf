"""Many small Huber regressions of log values at once: the solver behind the loss forms of
`reports.fits.scaling`.

    z, cost = minimise(form, starts, runs, weights)

Objective: the sum over runs of Huber's loss, δ = 1e-3, of log residuals, as in Hoffmann et al.
2022. Almost every residual is larger than δ, so this is nearly the sum of absolute values, on which
a general search stops early. Here each step is Newton's, damped by the matrix of iteratively
reweighted least squares, which bounds the curvature from above. Far from the minimum the step is
that of reweighted least squares, near it Newton's. A linear change of parameters changes neither,
so the badly conditioned E, A, B, α, β need no scaling. Projection keeps parameters within their
ranges, some of which end at 0 (Bertsekas 1982).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

DELTA = 1e-3
"""Of Huber's loss: a residual counts by its square up to here, by its absolute value beyond."""
STEPS = 400
TOLERANCE = 1e-9
"""Share of the objective that the next step may still promise when the search ends."""


class Runs(NamedTuple):
    """What is fitted, each (K,). x and y: log N and log D less their means; log_loss likewise."""

    x: np.ndarray
    y: np.ndarray
    log_loss: np.ndarray

    def subset(self, which: np.ndarray) -> "Runs":
        return Runs(self.x[which], self.y[which], self.log_loss[which])


class Form(NamedTuple):
    """A form of the loss with k parameters, the first `linear` of them coefficients ≥ 0 and the
    others exponents."""

    evaluate: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    """z (P, k), x (K,), y (K,) to the logarithm of the loss (P, K) and its derivatives (P, K,
    k)."""
    linear: int
    low: np.ndarray
    """(k,) where parameters end. Coefficients end just above 0, so that every loss has a
    logarithm."""
    high: np.ndarray
    starts: np.ndarray
    """(S, k) where a search for the global minimum begins."""


class _Place(NamedTuple):
    """The objective at P places: cost (P,), its gradient (P, k), and two curvatures (P, k, k):
    of the residuals within δ, and of reweighted least squares."""

    cost: np.ndarray
    gradient: np.ndarray
    inner: np.ndarray
    outer: np.ndarray


def search(form: Form, runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Return parameters (S, k) and objective (S,) at the minimum that each of the form's starts
    leads to, the best first.

    By variable projection: coefficients are found at the exponents of every start before all
    parameters move.
    """
    weights = np.ones((len(form.starts), len(runs.x)))
    fixed = np.arange(len(form.low)) >= form.linear
    z, _ = minimise(form, form.starts, runs, weights, fixed)
    z, cost = minimise(form, z, runs, weights)
    order = cost.argsort()
    return z[order], cost[order]


def minimise(
    form: Form, z: np.ndarray, runs: Runs, weights: np.ndarray, fixed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return P minima (P, k) and their objectives (P,), from the starts z (P, k), for weights
    (P, K). fixed: parameters that stay.

    Each of the P searches leaves the loop when its next step promises next to nothing.
    """
    held_all = np.zeros(len(form.low), bool) if fixed is None else fixed
    z = np.clip(z, form.low, form.high)
    cost = np.empty(len(z))
    result = z.copy()
    searching = np.arange(len(z))
    here = _look(form, z, runs, weights)
    damping = np.ones(len(z))

    for _ in range(STEPS):
        held = (
            held_all
            | ((z <= form.low) & (here.gradient > 0))
            | ((z >= form.high) & (here.gradient < 0))
        )
        ahead = np.clip(z + _step(here, held, damping), form.low, form.high)
        promised = -((ahead - z) * here.gradient).sum(1)
        there = _look(form, ahead, runs, weights)
        better = there.cost < here.cost
        z = np.where(better[:, None], ahead, z)
        here = _choose(better, there, here)

        negligible = TOLERANCE * (here.cost + DELTA**2 * weights.sum(1) * 1e-3)
        done = (promised * (1 + damping) < negligible) | (damping > 1e12)
        damping = np.where(better, damping / 4, damping * 4)
        result[searching[done]] = z[done]
        cost[searching[done]] = here.cost[done]
        if done.all():
            return result, cost

        z = z[~done]
        damping = damping[~done]
        weights = weights[~done]
        searching = searching[~done]
        here = _Place(*(value[~done] for value in here))
    result[searching] = z
    cost[searching] = here.cost
    return result, cost


def _choose(better: np.ndarray, there: _Place, here: _Place) -> _Place:
    """Return `there` for the searches that are better there, and `here` for the others."""
    return _Place(
        *(
            np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(there, here, strict=True)
        )
    )


def _look(form: Form, z: np.ndarray, runs: Runs, weights: np.ndarray) -> _Place:
    """Return the objective and its derivatives at z (P, k)."""
    log_f, slopes = form.evaluate(z, runs.x, runs.y)
    residual = log_f - runs.log_loss
    size = np.abs(residual)
    inside = size <= DELTA
    cost = (weights * np.where(inside, size**2 / 2, DELTA * (size - DELTA / 2))).sum(1)
    gradient = ((weights * np.clip(residual, -DELTA, DELTA))[:, None, :] @ slopes)[:, 0]
    turned = slopes.transpose(0, 2, 1)
    inner = (turned * (weights * inside)[:, None, :]) @ slopes
    outer = (
        turned * (weights * np.where(inside, 1, DELTA / np.maximum(size, DELTA)))[:, None, :]
    ) @ slopes
    return _Place(cost, gradient, inner, outer)


def _step(here: _Place, held: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Return the damped Newton step, (P, k), in the parameters that are not held."""
    k = held.shape[1]
    curvature = here.inner + damping[:, None, None] * here.outer
    # A parameter that nothing depends on, such as the exponent of a coefficient of 0, has no
    # curvature and must not move.
    scale = np.maximum(np.trace(curvature, axis1=1, axis2=2), 1e-300)
    curvature = curvature + 1e-13 * scale[:, None, None] * np.eye(k)
    free = ~held
    curvature = np.where(
        free[:, :, None] & free[:, None, :], curvature, scale[:, None, None] * np.eye(k)
    )
    return -np.linalg.solve(curvature, np.where(held, 0, here.gradient)[:, :, None])[:, :, 0]
