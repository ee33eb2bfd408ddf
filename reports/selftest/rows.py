"""Write a design as the rows of a store, with trials below the onset that miss their stop rule.

`store_of` writes a Parquet store and reads it as the report reads any other, so that its filters
decide which trials enter a fit. `reports.selftest.planting` then puts the sensitivities in.
"""

import itertools
import json
import tempfile
from datetime import UTC, datetime
from typing import Any

import numpy as np

from harness.store.rules import RULES
from harness.store.schema import MEASURES_VERSION, SCHEMA_VERSION
from harness.store.store import Store
from reports.evidence import Evidence, read_evidence
from reports.selftest.designs import Curve, Design, PlantedKind

WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
LOST = 0.02
"""Share of the trials of a rough store that failed; their cells enter no fit."""
UNEVEN = 0.3
"""Share of the curves of a rough store that begin to fit one size later than the design's."""


def store_of(design: Design, rng: np.random.Generator, rough: bool) -> Evidence:
    """Return the design as evidence, read from a store on disk that is deleted again.

    rough: a share LOST of the trials failed, and a share UNEVEN of the curves begins one
    size later.
    """
    rows = design_rows(design)
    if rough:
        rows = _roughened(rows, rng)
    with tempfile.TemporaryDirectory() as folder:
        Store.create(folder).append(rows)
        return read_evidence(folder)


def design_rows(design: Design) -> list[dict[str, Any]]:
    """Return one row for every trial of the design, in the order of its kinds."""
    rows = []
    for kind in design.kinds:
        for curve in kind.curves:
            cells = itertools.product(curve.sizes, range(curve.seeds))
            rows += [_row(kind, curve, p, seed) for p, seed in cells]
    numbers = itertools.count()
    return [row | {"trial_id": f"{next(numbers):016x}"} for row in rows]


def _row(kind: PlantedKind, curve: Curve, p: int, seed: int) -> dict[str, Any]:
    """Return an ok row. Sizes below the onset stopped at their cap on epochs, above the noise."""
    settings = kind.settings | {"n": curve.n, "d": curve.d}
    fitted = p >= curve.onset
    interpolates = kind.row["stop_rule"] == "interpolate"
    met = "interpolated" if interpolates else "below_noise"
    below = fitted and kind.row["epsilon"] > 0

    return kind.row | {
        "attempt": 1,
        "status": "ok",
        "sweep": "selftest",
        "task_version": 1,
        "seed": seed,
        "config_json": json.dumps(settings | {"size": p}, sort_keys=True),
        "settings_json": json.dumps(settings, sort_keys=True),
        "p": p,
        "p_frozen": 0,
        "n": curve.n,
        "d_ambient": curve.d,
        "tokens_distinct": curve.n,
        "tokens_seen": 100 * curve.n,
        "params_per_token": p / curve.n,
        "p_over_nd_ambient": p / (curve.n * curve.d),
        "stop_reason": met if fitted else "epoch_cap",
        "below_noise": below,
        "below_bayes_error": below,
        "epochs": 100,
        "stack_size": 1,
        "train_loss": 0.1,
        "train_error": 0.0 if interpolates else kind.row["bayes_error"] / 4,
        "test_loss": 1.0,
        "test_n": 1000,
        "data_unit": 1.0,
        "measure_points": 256,
        "stability_cap": 1.0,
        "stability_attack_censored": 0.0,
        "unilaw_version": "selftest",
        "rules": RULES.name,
        "started_at": WRITTEN,
        "finished_at": WRITTEN,
        "measures_version": MEASURES_VERSION,
        "schema_version": SCHEMA_VERSION,
    }


def _roughened(rows: list[dict[str, Any]], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return the rows with some trials failed, and the first fitted size of some curves missed."""
    onset: dict[str, int] = {}
    for row in rows:
        if row["stop_reason"] != "epoch_cap":
            curve = row["settings_json"]
            onset[curve] = min(onset.get(curve, row["p"]), row["p"])
    late = {curve for curve in sorted(onset) if rng.random() < UNEVEN}

    changed = []
    for row in rows:
        curve = row["settings_json"]
        if curve in late and row["p"] == onset[curve]:
            row = row | {"stop_reason": "epoch_cap", "below_noise": False}
        if rng.random() < LOST:
            row = row | {"status": "failed", "failure_kind": "bug", "failure_message": "lost"}
        changed.append(row)
    return changed
