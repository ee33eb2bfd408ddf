"""Measure the sensitivity columns of some models at their points, with one function per group of
columns."""

from collections.abc import Sequence

from torch import Tensor

from harness.measures.at_points import evaluate_at_points, search_at_points
from harness.measures.certified_bound import Bound
from harness.measures.lipschitz_columns import lipschitz_columns
from harness.measures.measured import Measured
from harness.measures.perturbation_columns import corruption_columns, noise_columns
from harness.measures.picture_strip import Strip, strip
from harness.measures.points import Probe
from harness.measures.robust_accuracy_columns import robust_accuracy_columns
from harness.measures.stability_columns import stability_columns
from harness.store.schema import Columns
from harness.training.evaluation import predicted


def sensitivity(of_stability: Probe, probe: Probe, bounds: Sequence[Bound]) -> list[Measured]:
    """Return the sensitivity columns and the picture of each model; `bounds` has one entry per
    model.

    Stability is measured at the points of `of_stability`. The points of `probe`, where everything
    else is measured, are the first of them.
    """
    searched = search_at_points(of_stability)
    at = evaluate_at_points(probe, searched)
    groups = [
        stability_columns(of_stability, searched, bounds),
        lipschitz_columns(probe, at, bounds),
        robust_accuracy_columns(probe, at, bounds),
        noise_columns(probe, at.noise),
        corruption_columns(probe),
    ]

    columns: list[Columns] = [{"measure_points_others": len(draw.x)} for draw in probe.draws]
    for group in groups:
        for of_model, more in zip(columns, group, strict=False):
            of_model |= more

    measured = [Measured(of_model) for of_model in columns]
    if probe.images:
        strips = _strips(probe, at.change, at.distance, at.local.label)
        for m, drawn in enumerate(strips):
            if drawn:
                measured[m] = Measured(columns[m] | {"pictures": drawn.rows}, drawn.png)
    return measured


def _strips(probe: Probe, change: Tensor, distance: Tensor, label: Tensor) -> list[Strip | None]:
    """Draw the nearest label changes of each model's first points."""
    if not probe.box or probe.x.shape[1] not in (1, 3):
        return []
    units = probe.units()
    after = predicted(probe.model(change.nan_to_num(0.0)), probe.classes)
    strips = []
    for m in range(probe.models):
        points = probe.points_of(m)
        drawn = strip(
            (probe.x * units)[points],
            (change * units)[points],
            probe.box,
            _words(probe.y[points], probe.classes),
            _words(label[points], probe.classes),
            _words(after[points], probe.classes),
            distance[points].tolist(),
        )
        strips.append(drawn)
    return strips


def _words(labels: Tensor, classes: int | None) -> list[str]:
    """Return the labels as text: `+1` and `-1`, or the classes' numbers."""
    return [f"{label:+g}" if classes is None else str(label) for label in labels.tolist()]
