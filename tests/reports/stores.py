"""Stores made of rows with known figures, for tests of the report stage."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.schema import MEASURES_VERSION, SCHEMA_VERSION
from harness.store import Store, SweepRecord

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def row(
    p: int = 1000, n: int = 100, d: int = 10, seed: int = 0, stability: float = 0.1, lipschitz: float = 5.0, **changes: Any
) -> dict[str, Any]:
    """An ok row of a ±1 task below its noise; `settings` (a dict) is part of what stays fixed along a curve."""
    settings = {"n": n, "d": d, **changes.pop("settings", {})}
    config = {**settings, "width": p}
    identity = json.dumps([config, seed, changes.get("family"), changes.get("stop_rule")])
    base: dict[str, Any] = {
        "trial_id": uuid.uuid5(uuid.NAMESPACE_OID, identity).hex[:16], "attempt": 1, "status": "ok", "sweep": "made",
        "task": "sphere", "task_version": 1, "family": "sphere", "seed": seed, "config_json": json.dumps(config),
        "settings_json": json.dumps(settings), "p": p, "p_frozen": 0, "n": n, "d_ambient": d, "outputs": 1, "tokens_distinct": n,
        "tokens_seen": 10 * n, "params_per_token": p / n, "noise_kind": "additive_sign", "sigma2": 1.0, "epsilon": 0.5,
        "stop_rule": "noise", "stop_reason": "below_noise", "below_noise": True, "bayes_error": 0.5,
        "below_bayes_error": True, "isoperimetry": "proved", "epochs": 10, "stack_size": 1,
        "train_loss": 0.5, "train_error": 0.1, "test_loss": 1.0, "test_accuracy": 0.5, "test_accuracy_se": 0.01, "data_unit": 1.0,
        "measure_points": 256, "stability_cap": 1.0, "stability_attack_mean": stability, "stability_attack_censored": 0.0,
        "stability_first_order_mean": stability, "lip_lower_grad": lipschitz, "lip_mean_grad": lipschitz / 2,
        "noise_radii": [0.1, 0.2], "noise_accuracy": [0.5, 0.5], "noise_flip_rate": [0.1, 0.2], "flops": 1e6, "wall_s": 2.0,
        "train_s": 1.0, "measure_s": 0.5, "data_hash": "ab" * 32, "unilaw_version": "0.1.0", "started_at": NOW,
        "finished_at": NOW, "measures_version": MEASURES_VERSION, "schema_version": SCHEMA_VERSION,
    }  # fmt: skip
    return base | changes


def failed(**changes: Any) -> dict[str, Any]:
    """A failed row: identity alone, as the driver writes it when a worker died."""
    kept = ("trial_id", "attempt", "sweep", "task", "task_version", "seed", "config_json", "settings_json", "unilaw_version")
    whole = row(**{k: v for k, v in changes.items() if k in ("p", "n", "d", "seed")})
    base = {k: whole[k] for k in (*kept, "finished_at", "measures_version", "schema_version")}
    return base | {"status": "failed", "failure_kind": "bug", "failure_message": "ValueError: no"} | changes


def power_law(b: float, b_n: float = 0.0, b_d: float = 0.0, spread: float = 0.0, seed: int = 0, **grid: Any) -> list[dict[str, Any]]:
    """Rows whose stability is 0.01·p^b·n^−b_n·d^−b_d times log-normal noise, and whose Lipschitz estimate is its inverse."""
    rng, rows = np.random.default_rng(seed), []
    for n in grid.get("ns", (100,)):
        for d in grid.get("ds", (10,)):
            for p in grid.get("ps", (100, 200, 400, 800, 1600, 3200)):
                for s in range(grid.get("seeds", 2)):
                    y = 0.01 * p**b * n**-b_n * d**-b_d * float(np.exp(spread * rng.standard_normal()))
                    rows.append(row(p, n, d, s, stability=y, lipschitz=1 / y, **grid.get("changes", {})))
    return rows


def make_store(folder: Path, rows: list[dict[str, Any]], sweep: bool = True) -> Path:
    """A store at `folder` holding the rows, and the sweep that asked for them."""
    store = Store.create(folder)
    if rows:
        store.append(rows)
    if sweep:
        store.put_sweep(SweepRecord(name="made", text="name: made\n", task_source=None, trials={r["trial_id"]: r["task"] for r in rows}))
    return folder
