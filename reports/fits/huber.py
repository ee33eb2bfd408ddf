"""Many small robust regressions at once: the solver behind every form of `reports.scaling` and
behind `reports.fits.scaling`.

    z, cost = minimise(form, starts, runs, weights, delta)

Objective: the sum over runs of Huber's loss of residuals, δ = 1e-3 for log residuals, as in
Hoffmann et al. 2022. Almost every residual is larger than that δ, so this is nearly the sum of
absolute values, on which a general search stops early. An infinite δ gives least squares. Each step
is Newton's, damped by the matrix of iteratively reweighted least squares, which bounds the
curvature from above. Far from the minimum the step is that of reweighted least squares, near it
Newton's. A linear change of parameters changes neither, so the badly conditioned E, A, B, α, β need
no scaling. Projection keeps parameters within their ranges, some of which end at 0 (Bertsekas
1982).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

DELTA = 1e-3
"""Of Huber's loss: a residual counts by its square up to here, by its absolute value beyond."""
STEPS = 400
TOLERANCE = 1e-9
"""Share of the objective that the next step may still promise when the search ends."""
FLOOR = 1e-3
"""What a search may leave: TOLERANCE is a share of the objective and of this times min(δ, 1)² for
each residual. So a step is negligible too where the objective is next to 0."""
BLOCK = 50_000
"""Derivatives, of searches times parameters times runs, that are worked on at once: as many as stay
in the processor's cache."""


class Runs(NamedTuple):
    """What is fitted. inputs: (m, K), as the form takes them. target: (K,), or (P, K) where each
    search has its own."""

    inputs: np.ndarray
    target: np.ndarray

    def subset(self, which: np.ndarray) -> "Runs":
        return Runs(self.inputs[:, which], self.target[..., which])


class Form(NamedTuple):
    """A function with k parameters, the first `linear` of them coefficients."""

    evaluate: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    """z (P, k), inputs (m, K) to the predicted target (P, K) and its derivatives (P, K, k)."""
    linear: int
    low: np.ndarray
    """(k,) where parameters end. Coefficients of decaying terms end just above 0, so that every
    loss has a logarithm."""
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


def search(
    form: Form,
    runs: Runs,
    delta: float = DELTA,
    keep: int | None = None,
    steps: int = STEPS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return parameters (S, k) and objective (S,) at the minimum that each of the form's starts
    leads to, the best first.

    By variable projection: coefficients are found at the exponents of every start before all
    parameters move. keep: only so many starts, those of the least objective then, go on. steps: at
    most so many.
    """
    weights = np.ones((len(form.starts), runs.inputs.shape[1]))
    fixed = np.arange(len(form.low)) >= form.linear
    z, cost = minimise(form, form.starts, runs, weights, delta, fixed, steps)
    z = z[cost.argsort(kind="stable")[:keep]]
    z, cost = minimise(form, z, runs, weights[: len(z)], delta, None, steps)
    order = cost.argsort(kind="stable")
    return z[order], cost[order]


def minimise(
    form: Form,
    z: np.ndarray,
    runs: Runs,
    weights: np.ndarray,
    delta: float = DELTA,
    fixed: np.ndarray | None = None,
    steps: int = STEPS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return P minima (P, k) and their objectives (P,), from the starts z (P, k), for weights
    (P, K). fixed: parameters (k,), or (P, k), that stay. steps: at most so many.
    """
    held = np.zeros(len(form.low), bool) if fixed is None else fixed
    held = np.broadcast_to(held, z.shape)
    z = np.clip(z, form.low, form.high)
    target = np.broadcast_to(runs.target, weights.shape)

    size = max(BLOCK // max(z.shape[1] * weights.shape[1], 1), 1)
    blocks = [slice(first, first + size) for first in range(0, max(len(z), 1), size)]
    found = [
        _minimise(form, z[b], Runs(runs.inputs, target[b]), weights[b], delta, held[b], steps)
        for b in blocks
    ]
    minima, costs = zip(*found, strict=True)
    return np.concatenate(minima), np.concatenate(costs)


def _minimise(
    form: Form,
    z: np.ndarray,
    runs: Runs,
    weights: np.ndarray,
    delta: float,
    held_all: np.ndarray,
    steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the minima of searches that go on together, within their ranges from the start.

    Each of the P searches leaves the loop when its next step promises next to nothing.
    """
    target = runs.target
    least = min(delta, 1.0) ** 2 * FLOOR
    cost = np.empty(len(z))
    result = z.copy()
    searching = np.arange(len(z))
    here = _look(form, z, runs.inputs, target, weights, delta)
    damping = np.ones(len(z))

    for _ in range(steps):
        held = (
            held_all
            | ((z <= form.low) & (here.gradient > 0))
            | ((z >= form.high) & (here.gradient < 0))
        )
        ahead = np.clip(z + _step(here, held, damping), form.low, form.high)
        promised = -((ahead - z) * here.gradient).sum(1)
        there = _look(form, ahead, runs.inputs, target, weights, delta)
        better = there.cost < here.cost
        z = np.where(better[:, None], ahead, z)
        here = _choose(better, there, here)

        negligible = TOLERANCE * (here.cost + least * weights.sum(1))
        done = (promised * (1 + damping) < negligible) | (damping > 1e12)
        damping = np.where(better, damping / 4, damping * 4)
        if not done.any():
            continue
        result[searching[done]] = z[done]
        cost[searching[done]] = here.cost[done]
        if done.all():
            return result, cost

        going = ~done
        z, damping, weights, target = z[going], damping[going], weights[going], target[going]
        searching, held_all = searching[going], held_all[going]
        here = _Place(*(value[going] for value in here))
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


def _look(
    form: Form,
    z: np.ndarray,
    inputs: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray,
    delta: float,
) -> _Place:
    """Return the objective and its derivatives at z (P, k)."""
    predicted, slopes = form.evaluate(z, inputs)
    residual = predicted - target
    turned = slopes.transpose(0, 2, 1)
    if np.isinf(delta):
        pull = weights * residual
        cost = np.einsum("pk,pk->p", pull, residual) / 2
        gradient = (pull[:, None, :] @ slopes)[:, 0]
        inner = (turned * weights[:, None, :]) @ slopes
        return _Place(cost, gradient, inner, inner)

    size = np.abs(residual)
    small = np.minimum(size, delta)
    cost = np.einsum("pk,pk->p", weights, small * (size - small / 2))
    within = weights * (size <= delta)
    reweighted = weights * (delta / np.maximum(size, delta))

    # One product of matrices instead of three: this is where the time goes.
    count, k, runs = turned.shape
    left = np.empty((count, 2 * k + 1, runs))
    np.multiply(turned, within[:, None, :], out=left[:, :k])
    np.multiply(turned, reweighted[:, None, :], out=left[:, k : 2 * k])
    np.multiply(reweighted, residual, out=left[:, 2 * k])
    products = left @ slopes
    return _Place(cost, products[:, 2 * k], products[:, :k], products[:, k : 2 * k])


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
