"""Fill the columns `training_radius*`, from `training_radius.py`."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.measures.at_points import search_at_points
from harness.measures.boundary import changing, nearest_change
from harness.measures.distances import l2_distance
from harness.measures.points import Probe, TrainingDraw
from harness.measures.stability_columns import STABILITY_CAP
from harness.measures.training_radius import training_radius
from harness.store.schema import Columns
from harness.task import Data, Seeds
from harness.training.evaluation import wrong
from harness.training.stack import Model, Program


def training_radius_columns(
    program: Program,
    samples: Sequence[Data],
    seeds: Sequence[Seeds],
    units: Sequence[float],
    points: int,
) -> list[Columns]:
    """Return each model's training radius on a draw of at most `points` of its own training points,
    with the labels that it was trained on. The columns are left out for models without injected
    noise.

    `samples`, `seeds` and `units` (the data units) have one entry per model. All models have the
    same kind of target, the same input space and equally many training points up to `points`.
    """
    columns: list[Columns] = [{} for _ in samples]
    if points == 0 or not any(data.noise.bayes_error > 0 for data in samples):
        return columns

    draws = [
        TrainingDraw(data, seed, unit, points)
        for data, seed, unit in zip(samples, seeds, units, strict=True)
    ]
    probe = Probe(program, samples, draws)
    with torch.no_grad():
        outputs = probe.model(probe.x)
    is_wrong = wrong(outputs, probe.y, probe.classes)

    distance = search_at_points(probe).distance.masked_fill(is_wrong, 0.0)
    chord = _chord(probe).masked_fill(is_wrong, 0.0) if probe.on_sphere else None

    for m, (data, draw) in enumerate(zip(samples, draws, strict=True)):
        of_model = probe.points_of(m)
        if data.noise.bayes_error > 0:
            columns[m] = _columns(
                data, draw, distance[of_model], None if chord is None else chord[of_model]
            )
    return columns


def _columns(data: Data, draw: TrainingDraw, distance: Tensor, chord: Tensor | None) -> Columns:
    """Return one model's columns from the distances (m,) in data units and the chords (m,)."""
    bayes_error = data.noise.bayes_error
    n = len(data.x_train)
    found = training_radius(distance, bayes_error, n, STABILITY_CAP)

    on_sphere = None
    if chord is not None:
        on_sphere = training_radius(chord, bayes_error, n, STABILITY_CAP * draw.unit).radius

    return {
        "training_radius": found.radius,
        "training_radius_se": found.se,
        "training_radius_l2": found.radius * draw.unit,
        "training_radius_chord": on_sphere,
        "training_radius_points": len(draw.x),
        "training_radius_censored": float((distance >= STABILITY_CAP).float().mean()),
    }


def _chord(probe: Probe) -> Tensor:
    """Return the distances (M·B,) to the nearest label changes found on the unit sphere, along
    straight chords.

    The search runs in all of R^d on the models of x/‖x‖, which are constant along rays. The
    distance from a point of the sphere to a ray at angle θ < 90° is sin θ, which grows with the
    chord 2·sin(θ/2), so the nearest ray ends in the nearest point of the sphere. The input found is
    moved along its ray to the sphere, where its label is the same, and its chord is measured there.
    """
    x = probe.x * probe.units()
    model = along_rays(probe.raw)

    wander = torch.cat([draw.wander for draw in probe.draws], dim=1)
    units = probe.each(probe.units())[:, :1]
    found = nearest_change(model, x, probe.starts() * units, probe.classes, wander)

    change = changing(model, x, found.change, probe.classes)
    return l2_distance(x, F.normalize(change, dim=1))


def along_rays(model: Model) -> Model:
    """Return the model as a function that is constant along rays, by its values on the unit
    sphere."""
    return lambda x: model(F.normalize(x, dim=1))
