"""Certify a trained model's Lipschitz constant in data units, and from it radii around points
within which no label changes."""

from typing import NamedTuple

from torch import Tensor, nn

from harness.measures.gradients import Margins
from harness.measures.layerwise_bound import layerwise_bound
from harness.measures.lipschitz_upper import certified_distance, upper
from harness.task import Data


class Bound(NamedTuple):
    """A model's certified Lipschitz constant per data unit, or None with a `note` that says why
    there is none."""

    lipschitz: float | None
    """Product of the layers' norms."""
    residual: float
    note: str | None
    layerwise: float | None
    """A tighter bound, for fully connected networks; None for others."""


def certified_bound(module: nn.Module, data: Data, unit: float) -> Bound:
    """Return the certified bounds of a module, for inputs in data units."""
    shape = tuple(data.x_test.shape[1:])
    raw = upper(module, shape)
    lipschitz = None if raw.product is None else raw.product * unit
    layerwise = layerwise_bound(module, shape)
    layerwise = None if layerwise is None else layerwise * unit
    return Bound(lipschitz, raw.residual, raw.note, layerwise)


def certified_radii(
    margins: Margins, bound: Bound, points: slice, classes: int | None
) -> Tensor | None:
    """Return the radii (B,), in data units, of balls around one model's points in which no label
    changes; None where the model has no bound."""
    if bound.lipschitz is None:
        return None
    smallest_margin = margins.values[points].amin(dim=1)
    return certified_distance(smallest_margin, bound.lipschitz, classes)
