"""The sensitivity columns of some models at their points, one function per group of columns."""

from collections.abc import Sequence

from torch import Tensor

from harness.measures.at_points import evaluate_at_points
from harness.measures.boundary import Nearest
from harness.measures.certified_bound import Bound
from harness.measures.lipschitz_columns import lipschitz_columns
from harness.measures.perturbation_columns import corruption_columns, noise_columns
from harness.measures.picture_strip import strip
from harness.measures.points import Probe
from harness.measures.robust_accuracy_columns import robust_accuracy_columns
from harness.measures.stability_columns import stability_columns
from harness.store.schema import Columns
from harness.training.evaluation import predicted


def sensitivity(probe: Probe, bounds: Sequence[Bound]) -> list[Columns]:
    """Return the sensitivity columns of each model; `bounds` has one entry per model."""
    at = evaluate_at_points(probe)
    groups = [
        stability_columns(probe, at, bounds),
        lipschitz_columns(probe, at, bounds),
        robust_accuracy_columns(probe, at, bounds),
        noise_columns(probe, at.noise),
        corruption_columns(probe),
        _pictures(probe, at.nearest, at.distance, at.local.label) if probe.images else [],
    ]

    columns: list[Columns] = [{} for _ in probe.draws]
    for group in groups:
        for of_model, more in zip(columns, group, strict=False):
            of_model |= more
    return columns


def _pictures(probe: Probe, nearest: Nearest, distance: Tensor, label: Tensor) -> list[Columns]:
    """Draw the nearest label changes of each model's first points."""
    if not probe.box or probe.x.shape[1] not in (1, 3):
        return []
    units = probe.units()
    after = predicted(probe.model(nearest.change.nan_to_num(0.0)), probe.classes)
    columns = []
    for m in range(probe.models):
        points = probe.points_of(m)
        drawn = strip(
            (probe.x * units)[points],
            (nearest.change * units)[points],
            probe.box,
            _words(probe.y[points], probe.classes),
            _words(label[points], probe.classes),
            _words(after[points], probe.classes),
            distance[points].tolist(),
        )
        columns.append({"_pictures": drawn.png, "pictures": drawn.rows} if drawn else {})
    return columns


def _words(labels: Tensor, classes: int | None) -> list[str]:
    """Return the labels as text: `+1` and `-1`, or the classes' numbers."""
    return [f"{label:+g}" if classes is None else str(label) for label in labels.tolist()]
