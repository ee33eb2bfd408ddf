"""Fill the columns of the ceiling on training radii that holds at any size.

It depends on the training inputs and their noisy labels alone, so it is computed once per data set
and process.
"""

import hashlib
import math

import numpy as np

from harness.measures.ceiling import radius_ceiling
from harness.store.schema import Columns
from harness.task import Data

MOST = 10_000
"""Training points behind the ceiling, which takes the distances of all pairs of them. Where there
are more, a draw stands for them: its points lie farther apart, so the figure tends to be high."""

_known: dict[str, Columns] = {}


def ceiling_columns(data: Data, unit: float) -> Columns:
    """Return the columns radius_ceiling, a length in R^d in data units (on the sphere, too), and
    radius_ceiling_points. Empty without injected noise; None where no radius is too large."""
    share = data.noise.bayes_error / 2
    if share == 0 or unit == 0:
        return {}
    rows = slice(None)
    if len(data.x_train) > MOST:
        rows = np.sort(np.random.default_rng(0).permutation(len(data.x_train))[:MOST])
    x = data.x_train[rows].cpu().numpy()
    y = data.y_train[rows].cpu().numpy()
    if data.classes is None:
        y = np.where(y < 0, -1, 1)  # the label of a real target is its sign

    key = hashlib.sha256(x.tobytes() + y.tobytes() + repr((share, unit)).encode()).hexdigest()
    if key not in _known:
        r = radius_ceiling(x, y, math.floor(len(x) * share))
        _known[key] = {
            "radius_ceiling": r / unit if math.isfinite(r) else None,
            "radius_ceiling_points": len(x),
        }
    return dict(_known[key])
