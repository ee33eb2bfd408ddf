"""Make stores of rows with known figures, for tests of the report."""

import json
import struct
import uuid
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.store.records import SweepRecord
from harness.store.schema import MEASURES_VERSION, SCHEMA_VERSION
from harness.store.store import Store

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def row(
    p: int = 1000,
    n: int = 100,
    d: int = 10,
    seed: int = 0,
    stability: float = 0.1,
    lipschitz: float = 5.0,
    **changes: Any,
) -> dict[str, Any]:
    """Return an ok row of a ±1 task below its noise. Every sensitivity figure follows from
    `stability` and `lipschitz`. `settings` (a dict) are fixed along a curve."""
    settings = {"n": n, "d": d, **changes.pop("settings", {})}
    config = {**settings, "width": p}
    identity = json.dumps([config, seed, changes.get("family"), changes.get("stop_rule")])
    base: dict[str, Any] = {
        "trial_id": uuid.uuid5(uuid.NAMESPACE_OID, identity).hex[:16],
        "attempt": 1,
        "status": "ok",
        "sweep": "made",
        "task": "sphere",
        "task_version": 1,
        "family": "sphere",
        "seed": seed,
        "config_json": json.dumps(config),
        "settings_json": json.dumps(settings),
        "p": p,
        "p_frozen": 0,
        "n": n,
        "d_ambient": d,
        "outputs": 1,
        "tokens_distinct": n,
        "tokens_seen": 10 * n,
        "params_per_token": p / n,
        "noise_kind": "additive_sign",
        "sigma2": 1.0,
        "epsilon": 0.5,
        "stop_rule": "noise",
        "stop_reason": "below_noise",
        "below_noise": True,
        "bayes_error": 0.5,
        "below_bayes_error": True,
        "isoperimetry": "proved",
        "epochs": 10,
        "stack_size": 1,
        "train_loss": 0.5,
        "train_error": 0.1,
        "test_loss": 1.0,
        "test_accuracy": 0.5,
        "test_accuracy_se": 0.01,
        "data_unit": 1.0,
        "measure_points": 256,
        "stability_cap": 1.0,
        "stability_attack_mean": stability,
        "stability_attack_censored": 0.0,
        "stability_first_order_mean": stability,
        "lip_lower_grad": lipschitz,
        "lip_mean_grad": lipschitz / 2,
        "noise_radii": [0.1, 0.2],
        "noise_accuracy": [0.5, 0.5],
        "noise_flip_rate": [0.1, 0.2],
        "flops": 1e6,
        "wall_s": 2.0,
        "test_n": 1000,
        "ece": 0.05,
        "margin_mean": 0.5,
        "radius_ceiling": 0.6,
        "radius_ceiling_points": n,
        "isoperimetry_c": 0.7,
        "isoperimetry_c_variance": 0.3,
        "isoperimetry_c_within": 0.6,
        "d_points": n,
        "d_participation": 0.5 * d,
        "d_participation_spread": 0.01 * d,
        "d_twonn": 0.4 * d,
        "d_twonn_spread": 0.02 * d,
        "d_mle": 0.3 * d,
        "d_mle_spread": 0.03 * d,
        "p_over_nd_ambient": p / (n * d),
        "p_over_nd_participation": p / (n * 0.5 * d),
        "p_over_nd_twonn": p / (n * 0.4 * d),
        "p_over_nd_mle": p / (n * 0.3 * d),
        "pair_distance_mean": 1.4,
        "pair_distance_sd": 0.2,
        "pair_distance_quantiles": [0.9, 1.0, 1.3, 1.4, 1.5, 1.8, 1.9],
        "stability_certified_mean": stability / 3,
        "stability_certified_violations": 0,
        "lip_lower_pairs": 1.2 * lipschitz,
        "lip_lower_normalised": 2.4 * lipschitz,
        "lip_mean_jacobian": lipschitz / 2,
        "lip_mean_normalised": lipschitz,
        "lip_upper_product": 9 * lipschitz,
        "lip_upper_normalised": 18 * lipschitz,
        "robust_l2_radii": [0.04, 0.08, 0.16],
        "robust_accuracy_l2": [min(1.0, a * stability**0.5) for a in (1.0, 0.8, 0.5)],
        "robust_linf_radii": [0.1, 0.2, 0.3],
        "robust_linf_box": [0.0, 1.0],
        "robust_accuracy_linf": [min(1.0, a * stability**0.5) for a in (0.9, 0.7, 0.4)],
        "attack_warnings": [],
        "corruptions": [
            corruption("blur", 1, 0.5),
            corruption("blur", 3, 0.4),
            corruption("shift", 3, 0.3),
        ],
        "train_s": 1.0,
        "measure_s": 0.5,
        "data_hash": "ab" * 32,
        "unilaw_version": "0.1.0",
        "started_at": NOW,
        "finished_at": NOW,
        "measures_version": MEASURES_VERSION,
        "schema_version": SCHEMA_VERSION,
    }
    return base | changes


def corruption(kind: str, severity: int, accuracy: float) -> dict[str, Any]:
    """Return an entry of the column corruptions."""
    return {
        "kind": kind,
        "severity": severity,
        "size": 1.0,
        "accuracy": accuracy,
        "accuracy_se": 0.01,
        "flip_rate": 0.1,
    }


NEW_IN_3 = (
    "d_",
    "p_over_nd_",
    "pair_distance_",
    "isoperimetry_c",
    "radius_ceiling",
    "stability_certified_",
    "lip_lower_pairs",
    "lip_lower_normalised",
    "lip_mean_jacobian",
    "lip_mean_normalised",
    "lip_upper_",
    "robust_",
    "attack_warnings",
    "corruptions",
    "pictures",
    "ece",
    "margin_mean",
)


def of_schema_2(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows as they were before the instruments of schema version 3."""
    return [
        {k: v for k, v in r.items() if k == "d_ambient" or not k.startswith(NEW_IN_3)}
        | {"schema_version": 2, "measures_version": 2}
        for r in rows
    ]


def failed(**changes: Any) -> dict[str, Any]:
    """Return a failed row with only its identity, as the driver writes it when a worker died."""
    kept = (
        "trial_id",
        "attempt",
        "sweep",
        "task",
        "task_version",
        "seed",
        "config_json",
        "settings_json",
        "unilaw_version",
    )

    whole = row(**{k: v for k, v in changes.items() if k in ("p", "n", "d", "seed")})
    base = {k: whole[k] for k in (*kept, "finished_at", "measures_version", "schema_version")}
    return (
        base
        | {"status": "failed", "failure_kind": "bug", "failure_message": "ValueError: no"}
        | changes
    )


def power_law(
    b: float, b_n: float = 0.0, b_d: float = 0.0, spread: float = 0.0, seed: int = 0, **grid: Any
) -> list[dict[str, Any]]:
    """Return rows whose stability is 0.01·p^b·n^-b_n·d^-b_d times log-normal noise, and whose
    Lipschitz estimate is its inverse."""
    rng, rows = np.random.default_rng(seed), []
    for n in grid.get("ns", (100,)):
        for d in grid.get("ds", (10,)):
            for p in grid.get("ps", (100, 200, 400, 800, 1600, 3200)):
                for s in range(grid.get("seeds", 2)):
                    y = (
                        0.01
                        * p**b
                        * n**-b_n
                        * d**-b_d
                        * float(np.exp(spread * rng.standard_normal()))
                    )
                    rows.append(
                        row(p, n, d, s, stability=y, lipschitz=1 / y, **grid.get("changes", {}))
                    )
    return rows


def make_store(folder: Path, rows: list[dict[str, Any]], sweep: bool = True) -> Path:
    """Write a store at `folder` with the rows and the sweep that asked for them, and return its
    path."""
    store = Store.create(folder)
    if rows:
        store.append(rows)
    if sweep:
        store.put_sweep(
            SweepRecord(
                name="made",
                text="name: made\n",
                task_source=None,
                trials={r["trial_id"]: r["task"] for r in rows},
            )
        )
    return folder


def png(width: int = 2, height: int = 2) -> bytes:
    """Return a grey PNG with this width and height in its header; large ones lack their pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    pixels = zlib.compress(b"\x00" * (width + 1) * height) if width * height < 1e6 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )
