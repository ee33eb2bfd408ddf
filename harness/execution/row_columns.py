"""Columns that every kind of trial fills in the same way: the model's size, noise, and seconds."""

import math

import torch
from torch import nn

from harness.execution.failures import text
from harness.measures.counts import count_parameters, params_per_number
from harness.noise import Noise
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


NATS_OF_32_BITS = 32 * math.log(2)
"""The most that one weight can hold."""

DELTA = 0.05
"""Probability with which the law's bound on a training radius may fail."""

HALF_CHOICES = 0.56
"""ln of the number of ways to choose n/4 of n points, over n."""


def radius_law_columns(noise: Noise, p: int, n: int, d: int, unit: float) -> Columns:
    """Return what the law allows a training radius: for pure ±1 noise on the unit sphere.

    r ≤ sqrt((8/d)·(b·p/n + 0.56 + ln(2/δ)/n)) with b nats a parameter, by a union bound over all
    models (docs/frontier.md).
    """
    if noise.sigma2 != 1 or noise.bayes_error != 0.5:
        return {}

    def allowed(nats: float) -> float:
        return math.sqrt(8 / d * (nats * p / n + HALF_CHOICES + math.log(2 / DELTA) / n)) / unit

    return {"radius_law": allowed(1.0), "radius_law_32bit": allowed(NATS_OF_32_BITS)}


def noise_columns(noise: Noise, n: int, on_sphere: bool) -> Columns:
    """Return the label noise, and which assumptions of the law of robustness the data meet."""
    return {
        "noise_kind": noise.kind,
        "eta": noise.eta,
        "sigma2": noise.sigma2,
        "bayes_error": noise.bayes_error,
        "epsilon": noise.epsilon,
        "isoperimetry": "proved" if on_sphere else "assumed",
        "law_n_large_enough": n * noise.epsilon**2 >= LARGE_ENOUGH,
    }


def timing_columns(train_s: float, measure_s: float) -> Columns:
    """Return the seconds of a trial's two halves, and the share that measuring took."""
    return {
        "train_s": train_s,
        "measure_s": measure_s,
        "measure_share": measure_s / (train_s + measure_s),
    }
