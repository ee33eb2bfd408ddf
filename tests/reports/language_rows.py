"""Make rows of language models with known figures, for tests of the report."""

import json
import uuid
from typing import Any

from harness.store.schema import MEASURES_VERSION, SCHEMA_VERSION
from tests.reports.stores import NOW, row


def language_row(
    width: int, tokens: int, loss: float, seed: int = 0, **changes: Any
) -> dict[str, Any]:
    """Return an ok row of a two-layer GPT of this width, vocabulary 256 and context 64, trained on
    `tokens` tokens in a single pass."""
    groups = {
        "embedding": 256 * width,
        "position": 64 * width,
        "attention": 8 * width**2,
        "mlp": 16 * width**2,
        "norm": 10 * width,
        "head": 0,
    }

    p, n = sum(groups.values()), tokens // 64
    config = {"n": n, "context": 64, "lr": 1e-3, "width": width, **changes.pop("settings", {})}
    known: dict[str, Any] = {
        "trial_id": uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([config, seed])).hex[:16],
        "attempt": 1,
        "status": "ok",
        "sweep": "made",
        "task": "text-stream",
        "task_version": 1,
        "family": "gpt-stream",
        "seed": seed,
        "config_json": json.dumps(config),
        "settings_json": json.dumps({k: v for k, v in config.items() if k != "width"}),
        "p": p,
        "p_frozen": 0,
        "params_by_group": [
            {"group": g, "trainable": count, "frozen": 0} for g, count in groups.items()
        ],
        "n": n,
        "d_ambient": 64 * width,
        "outputs": 256,
        "tokens_distinct": tokens,
        "tokens_seen": tokens,
        "params_per_token": p / tokens,
        "noise_kind": "none",
        "epsilon": 0.0,
        "bayes_error": 0.0,
        "stop_rule": "epochs",
        "stop_reason": "epoch_cap",
        "below_noise": False,
        "below_bayes_error": False,
        "isoperimetry": "assumed",
        "epochs": 1,
        "train_loss": loss,
        "train_error": 0.6,
        "test_loss": loss,
        "test_accuracy": 0.4,
        "flops": 6.0 * p * tokens,
        "flops_6nd": 6.0 * p * tokens,
        "wall_s": 2.0,
        "train_s": 1.0,
        "measure_s": 0.5,
        "data_hash": "cd" * 32,
        "unilaw_version": "0.1.0",
        "started_at": NOW,
        "finished_at": NOW,
        "measures_version": MEASURES_VERSION,
        "schema_version": SCHEMA_VERSION,
    }
    return known | changes


def text_row(p: int, seed: int = 0, scale: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Return an ok row of a GPT on windows of 16 bytes, with 30 % of the targets redrawn, below the
    noise. Its KLs are proportional to `scale`."""
    text = {
        "task": "text",
        "family": "gpt",
        "isoperimetry": "assumed",
        "outputs": 256,
        "sigma2": None,
        "bayes_error": 0.3 * 255 / 256,
        "epsilon": 0.15 * 255 / 256,
        "noise_kind": "target_resample",
        "eta": 0.3,
        "noise_kl": [0.3 * scale, 0.9 * scale],
        "token_changes": [
            token_change(kind, d, scale / d) for kind in ("replaced", "typo") for d in (1, 4, 8)
        ],
    }
    return row(**({"p": p, "n": 400, "d": 128, "seed": seed} | text | changes))


def token_change(kind: str, distance: int, kl: float) -> dict[str, Any]:
    """Return an entry of the column token_changes."""
    return {
        "kind": kind,
        "distance": distance,
        "accuracy": 0.3,
        "accuracy_se": 0.05,
        "kl": kl,
        "kl_se": kl / 10,
        "flip_rate": 0.5,
    }


def pretrained_row(p: int, **changes: Any) -> dict[str, Any]:
    """Return an ok row of a model that was trained elsewhere, on an unknown number of tokens."""
    unknown = dict.fromkeys(
        ("n", "tokens_distinct", "tokens_seen", "params_per_token", "train_loss", "train_error")
    )
    came = {
        "task": "pretrained",
        "family": "pretrained",
        "p": p,
        "outputs": 50257,
        "stop_reason": "not_trained",
        "epochs": 0,
    }

    fields: dict[str, Any] = (
        unknown | came | {"bits_per_byte": 1.1, "last_word_accuracy": 0.4} | changes
    )
    return language_row(p, 64, 3.0, **fields)
