"""Plant known frontiers in made-up rows of the shipped design (tasks/sweeps/frontier.yaml), and
read what the report says about them.

    evidence = planted(TRUTHS["law"], np.random.default_rng(1))
    (fit,) = fit_frontier(radii(evidence))

r∞ are the measured ceilings of such data (`harness.measures.ceiling`, one draw each). A radius
bends off below r∞; its noise is 4 % between seeds and 1.5 % between cells.
"""

import itertools
import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.evidence import Evidence
from reports.frontier_answer import ATTAINED, FLAT, LOGARITHMIC, SAMPLES

PROBLEM = "sphere, ±1 target, pure noise"
SEEDS = 3
BETWEEN_SEEDS = 0.04
BETWEEN_CELLS = 0.015
BRACKET = 1.05
PLAIN = 0.62
"""Training radius of plain training over the frontier's."""
R_INF = {
    (256, 16): 0.452,
    (256, 64): 0.590,
    (256, 128): 0.627,
    (256, 256): 0.652,
    (512, 64): 0.579,
    (512, 128): 0.617,
    (1024, 16): 0.407,
    (1024, 32): 0.501,
    (1024, 64): 0.565,
    (1024, 100): 0.597,
    (1024, 128): 0.610,
    (1024, 203): 0.630,
    (1024, 256): 0.640,
    (1024, 292): 0.644,
    (1024, 339): 0.648,
    (1024, 410): 0.654,
    (1024, 512): 0.660,
    (2048, 128): 0.603,
}


class Shape(NamedTuple):
    """One cell of the design."""

    n: int
    d: int
    width: int
    depth: int

    @property
    def p(self) -> int:
        deeper = (self.depth - 1) * self.width * (self.width + 1)
        return self.width * (self.d + 2) + 1 + deeper


class Truth(NamedTuple):
    """A planted frontier: radius as a function of p, n and d, and the right verdict."""

    radius: Callable[[float, float, float], float]
    verdict: str


TRUTHS = {
    "law": Truth(lambda p, n, d: 0.72 * math.sqrt(p / (n * d)), ATTAINED),
    "samples": Truth(lambda p, n, d: 0.05 * math.sqrt(p / n), SAMPLES),
    "flat": Truth(lambda p, n, d: 0.08, FLAT),
    "logarithm": Truth(lambda p, n, d: 0.05 + 0.06 * math.log(p / n), LOGARITHMIC),
}


def width_of(p: float, d: int) -> int:
    """Return the width of the two-layer net nearest to p parameters."""
    return max(1, round((p - 1) / (d + 2)))


def shapes() -> list[Shape]:
    """Return the cells of the shipped design: dimension, climb, samples, depth."""
    dimensions = (16, 32, 64, 100, 128, 203, 256, 339, 512)
    wanted = [(1024, d, k * 1024) for d in dimensions for k in (1, 2, 4)]
    wanted += [(1024, d, k * 1024) for d in (292, 410) for k in (2, 4)]
    for d in (16, 64, 256):
        doublings = range(int(math.log2(d / 2)) + 1)
        wanted += [(256, d, 256 * 2**i) for i in doublings]
    wanted += [(n, 128, p) for n in (256, 512, 1024, 2048) for p in (2048, 2 * n)]
    shallow = [Shape(n, d, width_of(p, d), 1) for n, d, p in wanted]

    one_layer = [(64, 48, 1), (64, 127, 1), (64, 253, 1), (128, 255, 1)]
    two_layers = [(64, 32, 2), (64, 64, 2), (64, 100, 2), (128, 128, 2)]
    beside = [Shape(512, d, width, layers) for d, width, layers in one_layer + two_layers]
    return list(dict.fromkeys([*shallow, *beside]))


def planted(
    truth: Truth, rng: np.random.Generator, cells: list[Shape] | None = None, **changes: Any
) -> Evidence:
    """Return evidence whose frontier radii follow the truth. changes: columns set in all rows."""
    searched, plain = [], []
    for shape in cells or shapes():
        of_cell = float(np.exp(BETWEEN_CELLS * rng.standard_normal()))
        for seed in range(SEEDS):
            noise = of_cell * float(np.exp(BETWEEN_SEEDS * rng.standard_normal()))
            ceiling = R_INF[shape.n, shape.d]
            law = truth.radius(shape.p, shape.n, shape.d)
            radius = noise * (law**-8 + ceiling**-8) ** (-1 / 8)
            searched.append(frontier_row(shape, seed, radius, **changes))
            trained = PLAIN * float(np.exp(BETWEEN_SEEDS * rng.standard_normal()))
            plain.append(plain_row(shape, seed, trained * radius, **changes))
    return evidence_of(searched, plain)


def evidence_of(searched: list[dict[str, Any]], plain: list[dict[str, Any]]) -> Evidence:
    """Return evidence of these rows alone: the report reads radii from nothing else."""
    return Evidence(
        store=None,  # pyright: ignore[reportArgumentType]
        trials=pd.DataFrame(plain),
        failures=pd.DataFrame(),
        attempts=len(searched) + len(plain),
        sweeps=[],
        runs=[],
        problems=[],
        replaced=frozenset(),
        frontier=pd.DataFrame(searched),
    )


NUMBERS = itertools.count()


def frontier_row(
    shape: Shape, seed: int, radius: float | None, way: str = "adversary", **changes: Any
) -> dict[str, Any]:
    """Return a row of a search that found this radius."""
    law = [
        math.sqrt(8 / shape.d * (nats * shape.p / shape.n + 0.56 + math.log(40) / shape.n))
        for nats in (1, 22.2)
    ]
    settings = {"n": shape.n, "d": shape.d, "depth": shape.depth, "noise": 1.0, "stop": "epochs"}
    settings |= {"frontier": way, "search_seed": 1}
    figures = {
        "frontier": way,
        "frontier_radius": radius,
        "frontier_radius_missed": None if radius is None else BRACKET * radius,
        "frontier_trap": False,
        "frontier_trainings": 5,
        "radius_law": law[0],
        "radius_law_32bit": law[1],
        "stop_rule": "epochs",
    }
    return _row(shape, seed, settings) | figures | changes


def plain_row(shape: Shape, seed: int, radius: float, **changes: Any) -> dict[str, Any]:
    """Return a row of plain training, trained on until every label is fitted."""
    settings = {"n": shape.n, "d": shape.d, "depth": shape.depth, "noise": 1.0}
    settings |= {"stop": "interpolate"}
    figures = {"frontier": None, "training_radius": radius, "stop_rule": "interpolate"}
    return _row(shape, seed, settings) | figures | changes


def _row(shape: Shape, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "trial_id": f"{next(NUMBERS):016x}",
        "problem": PROBLEM,
        "family": "sphere",
        "settings_json": json.dumps(settings),
        "config_json": json.dumps(settings | {"width": shape.width}),
        "seed": seed,
        "n": shape.n,
        "d_ambient": shape.d,
        "p": shape.p,
        "epsilon": 0.5,
        "adversary": "none",
        "isoperimetry": "proved",
        "radius_ceiling": R_INF[shape.n, shape.d],
        "radius_ceiling_points": shape.n,
    }
