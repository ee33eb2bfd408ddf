"""Fill the column of the isoperimetric constant within classes.

It is taken from held-out inputs, whose labels are clean where a task has clean ones. Each held-out
set is looked at once in a process.
"""

import hashlib
import math

import numpy as np

from harness.measures.dataset import POINTS
from harness.measures.isoperimetry import within_classes
from harness.store.schema import Columns
from harness.task import Data

_known: dict[str, float] = {}


def class_columns(data: Data, unit: float) -> Columns:
    """Return the column isoperimetry_c_within; None where there are too few inputs of two classes.
    Classes of a real target are its signs."""
    x = data.x_test[:POINTS].cpu().numpy()
    y = data.y_test[:POINTS].cpu().numpy()
    if data.classes is None:
        y = np.where(y < 0, -1, 1)

    key = hashlib.sha256(x.tobytes() + y.tobytes() + repr(unit).encode()).hexdigest()
    if key not in _known:
        _known[key] = within_classes(x, y, unit)
    found = _known[key]
    return {"isoperimetry_c_within": None if math.isnan(found) else found}
