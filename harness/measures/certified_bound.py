"""Certify a trained model's Lipschitz constant in data units, and from it radii around points
within which no label changes."""

from typing import NamedTuple

from torch import Tensor, nn

from harness.measures.gradients import Margins
from harness.measures.lipschitz_upper import certified_distance, upper
from harness.task import Data


class Bound(NamedTuple):
    """A model's certified Lipschitz constant per data unit, or None with a `note` that says why
    there is none."""

    lipschitz: float | None
    residual: float
    note: str | None


def certified_bound(module: nn.Module, data: Data, unit: float) -> Bound:
    """Return the product of the norms of the module's layers, for inputs in data units."""
    raw = upper(module, tuple(data.x_test.shape[1:]))
    lipschitz = None if raw.product is None else raw.product * unit
    return Bound(lipschitz, raw.residual, raw.note)


def certified_radii(
    margins: Margins, bound: Bound, points: slice, classes: int | None
) -> Tensor | None:
    """Return the radii (B,), in data units, of balls around one model's points in which no label
    changes; None where the model has no bound."""
    if bound.lipschitz is None:
        return None
    smallest_margin = margins.values[points].amin(dim=1)
    return certified_distance(smallest_margin, bound.lipschitz, classes)
