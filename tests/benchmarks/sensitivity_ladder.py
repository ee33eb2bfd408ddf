"""What the page says a measure follows along a ladder, where the truth is planted.

    python -m tests.benchmarks.sensitivity_ladder              the table, half a minute
    python -m tests.benchmarks.sensitivity_ladder --draws 50

The ladder is the shipped grid of five sizes by five numbers of tokens, each about twice the one
before, with one seed. Cells scatter by `noise` about the power law, and models of one size share an
error of `shared`, both as standard deviations of the logarithm. At a given loss counts whether the
sign was told, and whether it was wrong.
"""

import argparse
from collections import Counter
from itertools import product
from typing import NamedTuple

import numpy as np

from reports.fits.plane import (
    BOTH,
    COMPUTE,
    FLAT,
    RATIO,
    SIZE,
    TOKENS,
    UNKNOWN,
    Plane,
    fit_plane,
)

SEED = 20261127
STEP = 2.06
CELLS = 5
NOISES = (0.02, 0.05, 0.1, 0.2, 0.4)
SHARED = (0.0, 0.05, 0.1)
TRUTHS = {
    SIZE: (0.2, 0.0),
    TOKENS: (0.0, 0.2),
    RATIO: (-0.2, 0.2),
    COMPUTE: (0.2, 0.2),
    BOTH: (0.3, 0.15),
    FLAT: (0.0, 0.0),
}
"""The answer that is right → the exponents of N and D."""


class Said(NamedTuple):
    """Shares of the simulated ladders. at_loss, at_loss_wrong: the sign at a given loss was told,
    and was wrong."""

    right: float
    unknown: float
    wrong: float
    at_loss: float
    at_loss_wrong: float


def planted(answer: str, noise: float, shared: float, rng: np.random.Generator) -> Plane:
    """Return the fit to a ladder on which `answer` is right."""
    a, b = TRUTHS[answer]
    steps = np.log(STEP) * np.arange(CELLS)
    x = np.repeat(steps, CELLS)
    tokens = np.tile(steps, CELLS)
    n, d = 8432 * np.exp(x), 3.2e5 * np.exp(tokens)
    own = shared * rng.standard_normal(CELLS)
    value = a * x + b * tokens + np.repeat(own, CELLS) + noise * rng.standard_normal(CELLS**2)
    loss = (1.3 + 26 * n**-0.48 + 70 * d**-0.28) * np.exp(0.005 * rng.standard_normal(CELLS**2))
    plane = fit_plane(n, d, np.exp(value), loss)
    assert isinstance(plane, Plane)
    return plane


def said(answer: str, noise: float, shared: float, draws: int) -> Said:
    """Count what is said about `draws` ladders."""
    rng = np.random.default_rng(SEED)
    planes = [planted(answer, noise, shared, rng) for _ in range(draws)]
    counts = Counter(plane.follows for plane in planes)
    right = counts[answer] / draws
    unknown = counts[UNKNOWN] / draws

    # Along a line of equal loss more parameters mean fewer tokens: dlog D/dlog N = −ρ, about
    # −0.2 in the middle of this grid.
    a, b = TRUTHS[answer]
    n, d = 8432 * STEP**2, 3.2e5 * STEP**2
    rho = 0.48 * 26 * n**-0.48 / (0.28 * 70 * d**-0.28)
    truth = a - b * rho
    told = [
        np.sign(p.at_loss.value) * (p.at_loss.low * p.at_loss.high > 0) for p in planes if p.at_loss
    ]
    wrong = [sign != 0 and sign != np.sign(truth) for sign in told]
    return Said(
        right,
        unknown,
        (draws - counts[answer] - counts[UNKNOWN]) / draws,
        float(np.mean(np.abs(told))),
        float(np.mean(wrong)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    draws = parser.parse_args().draws
    print("truth, noise, shared: right, cannot tell, wrong; at a given loss: told, wrong")
    for answer, noise, shared in product(TRUTHS, NOISES, SHARED):
        own = said(answer, noise, shared, draws)
        print(
            f"{answer:8} {noise:4.2f} {shared:4.2f}: {own.right:5.3f} {own.unknown:5.3f}"
            f" {own.wrong:5.3f}; {own.at_loss:5.3f} {own.at_loss_wrong:5.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
