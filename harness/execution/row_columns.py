"""Columns that every kind of trial fills in the same way: the model's size, noise, and seconds."""

import torch
from torch import nn

from harness.execution.failures import text
from harness.measures.counts import count_parameters, params_per_number
from harness.noise import Noise
from harness.store.radius_law import NATS_OF_32_BITS, radius_law
from harness.store.schema import Columns
from harness.task import BaseTask, Config

LARGE_ENOUGH = 8**4 * float(torch.log(torch.tensor(8 / 0.05)))
"""The least n·ε² for which the law is proved. Bubeck & Sellke 2021, Theorem 3:
8⁴ k log(8k/δ) ≤ n ε², here with k = 1 and δ = 0.05."""


def model_columns(
    task: BaseTask, config: Config, model: nn.Module, outputs: int, measured: Columns
) -> Columns:
    """Return the model's size and what it is compared with: targets, and numbers in the inputs.

    Where nobody knows how many samples a model was trained on, `n` and `params_per_token` are None
    and the columns p/(n·d) are left out.
    """
    counts = count_parameters(model)
    d_ambient = task.d_ambient(config)
    samples = task.samples_distinct(config)
    tokens = task.tokens_distinct(config)
    columns: Columns = {
        "family": text(task.family(config)),
        "p": counts.trainable,
        "p_frozen": counts.frozen,
        "params_by_group": [group._asdict() for group in counts.groups],
        "n": round(samples) if samples else None,
        "d_ambient": d_ambient,
        "outputs": outputs,
        "tokens_distinct": tokens,
        "params_per_token": counts.trainable / tokens if tokens else None,
    }

    if samples:
        columns |= params_per_number(counts.trainable, samples, d_ambient, measured)
    return columns


def radius_law_columns(noise: Noise, p: int, n: int, d: int, unit: float) -> Columns:
    """Return what the law allows a training radius: for pure ±1 noise on the unit sphere, in data
    units. unit: what one of them is in the inputs' own."""
    if noise.sigma2 != 1 or noise.bayes_error != 0.5:
        return {}

    return {
        "radius_law": radius_law(p, n, d, 1.0) / unit,
        "radius_law_32bit": radius_law(p, n, d, NATS_OF_32_BITS) / unit,
    }


def noise_columns(noise: Noise, n: int, isoperimetry: str) -> Columns:
    """Return the label noise, and which assumptions of the law of robustness the data meet.
    isoperimetry: a value of its column."""
    return {
        "noise_kind": noise.kind,
        "eta": noise.eta,
        "sigma2": noise.sigma2,
        "bayes_error": noise.bayes_error,
        "epsilon": noise.epsilon,
        "isoperimetry": isoperimetry,
        "law_n_large_enough": n * noise.epsilon**2 >= LARGE_ENOUGH,
    }


def timing_columns(train_s: float, measure_s: float) -> Columns:
    """Return the seconds of a trial's two halves, and the share that measuring took."""
    return {
        "train_s": train_s,
        "measure_s": measure_s,
        "measure_share": measure_s / (train_s + measure_s),
    }
