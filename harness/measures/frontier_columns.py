"""Measure the most robust fit that a search found, by attacks that no training has used.

Two searches for a wrong answer near every training point: many gradient steps from random points of
balls, and the boundary search of S, which comes from the other side. The nearer find counts.
"""

import math

import torch
from torch import Tensor

from harness.errors import TrialFailure
from harness.measures.at_points import search_at_points
from harness.measures.points import Probe, TrainingDraw
from harness.store.schema import Columns
from harness.task import Data, Seeds
from harness.training.evaluation import wrong
from harness.training.frontier import Frontier
from harness.training.frontier_plan import LEAST
from harness.training.robust_error import ROUNDING, Attack, Points, own_distances
from harness.training.stack import Program, stack

VERIFIED_AT_MOST = 4096
"""Training points that a radius is verified on; of more, a draw."""

VERIFICATION = Attack(steps=40, starts=3)
"""Gradient steps, and random beginnings, at each radius. The search trains against one step an
epoch and compares candidates by 20 from one beginning."""

ROUNDS = 8
"""Bisections of the radius."""

LOWEST = 0.7
"""The least radius of the bisection, over the one that the search has found."""

ROUNDED = 1e-5
"""By which float32 may push a radius beyond r∞."""


def frontier_columns(frontier: Frontier, data: Data, seeds: Seeds, together: int) -> Columns:
    """Return the columns frontier_* and robust_below_noise.

    together: training points that go through the model at once.
    """
    unit = data.unit()
    draw = TrainingDraw(data, seeds, unit, VERIFIED_AT_MOST)
    program = stack([frontier.best.model], data.x_train[:4])
    program.train(False)

    distance = losing_distances_of(program, data, draw, frontier.best.radius, seeds, together)
    lost_at_most = math.floor(len(distance) * data.noise.bayes_error / 2 + ROUNDING)
    radius = min(float(distance.sort().values[lost_at_most]), frontier.best.radius)

    missed = frontier.missed_above(radius)
    missed_radius = missed.aim / unit if missed and missed.aim else None
    return {
        "frontier_radius": radius / unit,
        "frontier_radius_missed": LEAST if radius == 0 else missed_radius,
        "frontier_radius_l2": radius,
        "frontier_points": len(distance),
        "frontier_error": float((distance < radius).double().mean()) if radius else None,
        "robust_below_noise": radius > 0,
        "frontier_way": frontier.best.way,
        "frontier_trap": (missed or frontier.best).one_answer,
        "frontier_trainings": len(frontier.tried),
    }


def losing_distances_of(
    program: Program,
    data: Data,
    draw: TrainingDraw,
    radius: float,
    seeds: Seeds,
    together: int,
) -> Tensor:
    """Return the distances (m,) from the drawn training points to the nearest wrong answers found,
    in the inputs' own numbers: 0 where the answer is wrong, infinite where none was found."""
    probe = Probe(program, [data], [draw])
    with torch.no_grad():
        is_wrong = wrong(probe.model(probe.x), probe.y, probe.classes)
    boundary = (search_at_points(probe).distance * draw.unit).masked_fill(is_wrong, 0.0)
    if radius == 0:
        return boundary

    budget = torch.tensor([data.noise.bayes_error / 2], device=boundary.device).double()
    points = Points(draw.x[None] * draw.unit, draw.y[None], data.classes, budget, together)
    high = budget.new_tensor([radius])
    generators = [seeds.generator("verification")]
    inside = own_distances(program, points, LOWEST * high, high, ROUNDS, VERIFICATION, generators)
    return torch.minimum(boundary, inside[0].to(boundary))


def refuse_impossible(columns: Columns, n: int) -> None:
    """Raise TrialFailure where the radius of a fit of pure noise on the sphere exceeds what no
    model can reach: a defect of the search or of the attack.

    columns: those of a whole row on n samples. The law's bound is proved for 32-bit weights. What
    was found on a draw of the training points refuses nothing.
    """
    law = columns.get("radius_law_32bit")
    if law is None or columns["frontier_points"] < n:
        return
    radius = columns["frontier_radius"]
    if radius > law:
        raise TrialFailure(
            "bug",
            f"the frontier radius {radius:.4g} exceeds {law:.4g}, which no model of this size with"
            " 32-bit weights can reach",
        )

    ceiling = columns.get("radius_ceiling")
    if ceiling and columns["radius_ceiling_points"] == n and radius > ceiling * (1 + ROUNDED):
        raise TrialFailure(
            "bug",
            f"the frontier radius {radius:.4g} exceeds {ceiling:.4g}, at which too many balls of"
            " different labels meet",
        )
