"""Describe the inputs of a data set, whatever is learnt from them: effective dimension, pairwise
distances, and how far they are from isoperimetric.

    columns = describe(data)

The columns are computed once per set of inputs, then read from this process's memory or from a file
in the user's cache folder.
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
from harness.measures.isoperimetry import Isoperimetry, isoperimetry
from harness.store.schema import Columns
from harness.store.small_json import read_json
from harness.store.whole_file import write_whole
from harness.task import Data

POINTS = 1000
"""Number of inputs drawn. Each shipped task holds out at least this many, so estimates that depend
on the number do not move with n."""
DATASET_VERSION = 2
"""Increase this when a column is computed in another way."""

_described: dict[str, Columns] = {}


def describe(data: Data) -> Columns:
    """Return the columns d_points to d_mle_spread, pair_distance_* and isoperimetry_*, over
    training and held-out inputs together, like the data unit."""
    drawn = drawn_inputs(data)
    unit = data.unit()
    key = _key(drawn, unit)
    if key not in _described:
        _described[key] = _kept(key) or _keep(key, _computed(drawn, unit))
    return dict(_described[key])


def _computed(drawn: Tensor, unit: float) -> Columns:
    return {
        **dimension(drawn)._asdict(),
        **pair_distances(drawn, unit)._asdict(),
        **isoperimetry(drawn, unit)._asdict(),
    }


def drawn_inputs(data: Data) -> Tensor:
    """Return (at most POINTS, *input_shape) inputs on the CPU, drawn without replacement, in the
    data set's own order."""
    n = len(data.x_train)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(n + len(data.x_test), generator=generator)[:POINTS].sort().values
    rows = rows.to(data.x_train.device)
    return torch.cat([data.x_train[rows[rows < n]], data.x_test[rows[rows >= n] - n]]).cpu()


def _key(drawn: Tensor, unit: float) -> str:
    """Return the SHA-256 of everything that the columns depend on: the drawn inputs, the unit, and
    the code's version.

    So two data sets with one key have the same columns. Changing an input that was not drawn
    changes the unit or nothing, so the other tens of thousands need no hashing.
    """
    about = [DATASET_VERSION, version("scikit-dimension"), list(drawn.shape), unit]
    return hashlib.sha256(json.dumps(about).encode() + drawn.numpy().tobytes()).hexdigest()


def dataset_file(key: str) -> Path:
    """Return the path of the file that keeps a data set's columns."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "unilaw" / "datasets" / f"{key}.json"


def _kept(key: str) -> Columns | None:
    """Return the columns from the file; None when there is no file, or when it cannot be read."""
    # RuntimeError: the user has no home folder
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RuntimeError):
        kept = read_json(dataset_file(key).read_bytes(), nan=True)
        dimensions = Dimension(
            int(kept["d_points"]), *(float(kept[field]) for field in Dimension._fields[1:])
        )
        quantiles = [float(quantile) for quantile in kept["pair_distance_quantiles"]]
        if len(quantiles) != len(QUANTILES):
            return None
        pairs = PairDistances(
            float(kept["pair_distance_mean"]), float(kept["pair_distance_sd"]), quantiles
        )
        tails = Isoperimetry(*(float(kept[field]) for field in Isoperimetry._fields))
        return {**dimensions._asdict(), **pairs._asdict(), **tails._asdict()}
    return None


def _keep(key: str, columns: Columns) -> Columns:
    """Write the columns to their file, and return them. Without a writable home folder every
    process computes them again."""
    with contextlib.suppress(OSError, RuntimeError):
        path = dataset_file(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(columns).encode())
    return columns
