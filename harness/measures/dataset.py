"""What the inputs of a data set are like, whatever is learnt from them: effective dimension and
pairwise distances.

    columns = describe(data)

Worked out once per set of inputs, then taken from this process's memory or from a file in the
user's cache folder.
"""

import contextlib
import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from harness.measures.dimension import Dimension, dimension
from harness.measures.geometry import QUANTILES, PairDistances, pair_distances
from harness.store.schema import Columns
from harness.task import Data

POINTS = 1000
"""Inputs drawn. Each shipped task holds out at least so many, so that estimates which depend on
their number do not move with n."""
DATASET_VERSION = 1
"""Raised when a column is worked out in another way."""

_described: dict[str, Columns] = {}


def describe(data: Data) -> Columns:
    """The columns d_points to d_mle_spread and pair_distance_*, of training and held-out inputs
    together, which the unit is made of."""
    drawn, unit = drawn_inputs(data), data.unit()
    key = _key(drawn, unit)
    if key not in _described:
        _described[key] = _kept(key) or _keep(
            key, {**dimension(drawn)._asdict(), **pair_distances(drawn, unit)._asdict()}
        )
    return dict(_described[key])


def drawn_inputs(data: Data) -> Tensor:
    """(at most POINTS, *input_shape) inputs on the CPU, drawn without replacement, in their
    order."""
    n = len(data.x_train)
    rows = (
        torch.randperm(n + len(data.x_test), generator=torch.Generator().manual_seed(0))[:POINTS]
        .sort()
        .values
    )
    rows = rows.to(data.x_train.device)
    return torch.cat([data.x_train[rows[rows < n]], data.x_test[rows[rows >= n] - n]]).cpu()


def _key(drawn: Tensor, unit: float) -> str:
    """SHA-256 of all that the columns are made from: the drawn inputs, the unit, and how.

    So two data sets with one key have the same columns. A change of inputs that were not drawn
    changes the unit, or nothing; the other tens of thousands need not be hashed.
    """
    about = [DATASET_VERSION, version("scikit-dimension"), list(drawn.shape), unit]
    return hashlib.sha256(json.dumps(about).encode() + drawn.numpy().tobytes()).hexdigest()


def dataset_file(key: str) -> Path:
    """Where the columns of a data set are kept."""
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "unilaw"
        / "datasets"
        / f"{key}.json"
    )


def _kept(key: str) -> Columns | None:
    """The columns from the file; None where there is none, or none that can be read."""
    # RuntimeError: a user without a home
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RuntimeError):
        kept = json.loads(dataset_file(key).read_text())
        quantiles = [
            float(quantile)
            for quantile, _ in zip(kept["pair_distance_quantiles"], QUANTILES, strict=True)
        ]
        pairs = PairDistances(
            float(kept["pair_distance_mean"]), float(kept["pair_distance_sd"]), quantiles
        )
        found = Dimension(
            int(kept["d_points"]), *(float(kept[field]) for field in Dimension._fields[1:])
        )
        return {**found._asdict(), **pairs._asdict()}
    return None


def _keep(key: str, columns: Columns) -> Columns:
    """Write the columns to their file, and give them back. A machine without a writable home
    works them out in every process."""
    with contextlib.suppress(OSError, RuntimeError):
        path = dataset_file(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"_tmp-{path.name}-{os.getpid()}")
        temporary.write_text(json.dumps(columns))
        os.replace(temporary, path)
    return columns
