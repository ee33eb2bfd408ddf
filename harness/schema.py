"""The row: every column that a trial reports, with its type, unit and meaning. The only place that knows.

>>> from harness.schema import arrow_schema
>>> arrow_schema().field("p").metadata[b"unit"]
b'parameters'
"""

from functools import cache
from typing import NamedTuple

import pyarrow as pa

SCHEMA_VERSION = 2
MEASURES_VERSION = 2
"""Raised whenever an instrument in `harness/measures/` starts to give other numbers."""


class Column(NamedTuple):
    name: str
    type: pa.DataType
    unit: str
    meaning: str
    required: bool = False


STR, BOOL, I32, I64, F64 = pa.string(), pa.bool_(), pa.int32(), pa.int64(), pa.float64()
TIME = pa.timestamp("us", tz="UTC")
GROUPS = pa.list_(pa.struct([("group", STR), ("trainable", I64), ("frozen", I64)]))

COLUMNS: tuple[Column, ...] = (
    # What was run
    Column("trial_id", STR, "", "hash of task, version, source, configuration, data content and seed", True),
    Column("attempt", I32, "count", "1 for the first run of this trial in this store", True),
    Column("status", STR, "", "ok or failed", True),
    Column("failure_kind", STR, "", "oom, nan, timeout, crash, preempted or bug; null when ok"),
    Column("failure_message", STR, "", "what the trial said when it failed; null when ok"),
    Column("sweep", STR, "", "name of the sweep file that asked for the trial", True),
    Column("task", STR, "", "name of the task", True),
    Column("task_version", I32, "", "version of the task's definition", True),
    Column("family", STR, "", "kind of model and data, e.g. sphere, mnist-mlp, mnist-cnn; null when failed"),
    Column("seed", I64, "", "the trial's seed; data, noise, init and order draw from separate streams of it", True),
    Column("config_json", STR, "", "the full configuration, defaults included, as JSON", True),
    Column("settings_json", STR, "", "the configuration less its size and source fields: what stays fixed along a curve in p", True),
    # Size
    Column("p", I64, "parameters", "trainable parameters; tied weights count once"),
    Column("p_frozen", I64, "parameters", "parameters that are never trained; not part of p"),
    Column("params_by_group", GROUPS, "parameters", "trainable and frozen parameters of each top-level module"),
    Column("n", I64, "samples", "training samples"),
    Column("d_ambient", I64, "dimensions", "numbers in one input"),
    Column("outputs", I32, "count", "1 for a ±1 target under squared loss, K for K classes under cross-entropy"),
    Column("tokens_distinct", I64, "tokens", "distinct supervised targets (here one per sample)"),
    Column("tokens_seen", I64, "tokens", "supervised targets trained on, repeats counted"),
    Column("params_per_token", F64, "parameters / token", "p / tokens_distinct"),
    # Noise, and whether the law's hypothesis was met
    Column("noise_kind", STR, "", "label_flip, label_resample, additive_sign or none"),
    Column("eta", F64, "probability", "share of labels flipped or redrawn; null for additive_sign"),
    Column("sigma2", F64, "target²", "injected E Var[y|x] of a ±1 target: a lower bound on the noise; null for classes"),
    Column("bayes_error", F64, "probability", "R*: injected Bayes error of the label (for a ±1 target, of its sign): a lower bound"),
    Column("epsilon", F64, "sigma2 or error", "how far below the noise counts as below: sigma2/2 or bayes_error/2"),
    Column("stop_rule", STR, "", "noise (down to noise level − epsilon), interpolate, or epochs"),
    Column("stop_reason", STR, "", "below_noise, interpolated or epoch_cap"),
    Column("below_noise", BOOL, "", "training fit at stop ≤ noise level − epsilon, with epsilon > 0"),
    Column("below_bayes_error", BOOL, "", "training 0-1 error at stop ≤ bayes_error / 2 > 0: what the law's stability form asks for"),
    Column("isoperimetry", STR, "", "proved (the sphere) or assumed (real data)"),
    Column("law_n_large_enough", BOOL, "", "n·epsilon² ≥ 8⁴·log(8/0.05), the theorem's condition on n with k = 1"),
    # Fit and accuracy
    Column("epochs", I32, "epochs", "passes over the training set"),
    Column("steps", I64, "steps", "optimiser steps"),
    Column("resumed_epoch", I32, "epochs", "epoch of the checkpoint that training went on from; null when it began at the beginning"),
    Column("stack_size", I32, "trials", "trials trained together as one program; 1: alone"),
    Column("stack_note", STR, "", "why a stack that was planned was trained one by one; null when it was not"),
    Column("train_loss", F64, "loss", "mean over the training set at stop: squared error, or cross-entropy in nats"),
    Column("train_error", F64, "share", "training labels (noise included) that are predicted wrongly at stop"),
    Column("test_loss", F64, "loss", "mean over the held-out set, labels without injected noise where they exist"),
    Column("test_accuracy", F64, "share", "held-out labels predicted rightly"),
    Column("test_accuracy_se", F64, "share", "binomial standard error of test_accuracy"),
    Column("test_n", I64, "samples", "held-out samples behind test_loss and test_accuracy"),
    # Sensitivity; one data unit is the training set's mean ‖x − mean x‖
    Column("data_unit", F64, "raw l2", "length of one data unit"),
    Column("measure_points", I64, "samples", "held-out points behind every sensitivity column"),
    Column("stability_cap", F64, "data units", "distances above this count as this, and as censored"),
    Column(
        "stability_first_order_mean",
        F64,
        "data units",
        "mean over points of min(|margin|/‖∇margin‖, cap); points with a zero gradient left out",
    ),
    Column("stability_first_order_median", F64, "data units", "median of the same, zero-gradient points as cap"),
    Column("stability_first_order_censored", F64, "share", "points with a zero gradient or beyond the cap"),
    Column(
        "stability_attack_mean",
        F64,
        "data units",
        "S: mean over points of min(distance to the nearest label change found, cap): an upper estimate",
    ),
    Column("stability_attack_se", F64, "data units", "standard error of stability_attack_mean over points"),
    Column("stability_attack_median", F64, "data units", "median of the same"),
    Column("stability_attack_censored", F64, "share", "points for which no label change was found within the cap"),
    Column("stability_attack_mean_l2", F64, "raw l2", "stability_attack_mean × data_unit"),
    Column("gradient_of", STR, "", "f (±1 target), or margin: top logit minus runner-up"),
    Column(
        "lip_lower_grad",
        F64,
        "output / data unit",
        "largest ‖∇‖ over the points, tangential on the sphere: a lower estimate of the Lipschitz constant",
    ),
    Column("lip_mean_grad", F64, "output / data unit", "mean ‖∇‖ over the points, tangential on the sphere; no law holds for it"),
    Column("lip_lower_grad_ambient", F64, "output / data unit", "as lip_lower_grad with the gradient in all of R^d"),
    Column("lip_mean_grad_ambient", F64, "output / data unit", "as lip_mean_grad with the gradient in all of R^d"),
    Column("noise_radii", pa.list_(F64), "data units", "root-mean-square length of the Gaussian input noise tried"),
    Column("noise_accuracy", pa.list_(F64), "share", "held-out accuracy under that noise, one value per radius"),
    Column("noise_accuracy_se", pa.list_(F64), "share", "binomial standard error of noise_accuracy"),
    Column("noise_flip_rate", pa.list_(F64), "share", "predictions that the noise changed, one value per radius"),
    # Cost
    Column("flops", F64, "FLOP", "training FLOPs: forward and backward of every sample seen, counted by torch"),
    Column("wall_s", F64, "s", "whole trial: data, training, measuring; of a stack, its share"),
    Column("train_s", F64, "s", "training alone, since the last checkpoint; of a stack, its share by epochs"),
    Column("measure_s", F64, "s", "measuring alone; of a stack, an equal share"),
    Column(
        "peak_bytes", I64, "bytes", "peak memory of the trial or its stack: GPU allocator, or the worker's resident set with its libraries"
    ),
    Column("weights_file", STR, "", "final weights, relative to the store; null when larger than the sweep's limit"),
    # Provenance
    Column("data_hash", STR, "", "SHA-256 of the tensors trained and tested on"),
    Column("unilaw_version", STR, "", "version of this package in the process that ran the trial", True),
    Column("commit", STR, "", "git commit of the source tree; null when not run from one"),
    Column("dirty", BOOL, "", "the source tree had uncommitted changes"),
    Column("python_version", STR, "", ""),
    Column("torch_version", STR, "", ""),
    Column("ray_version", STR, "", "null for an inline run"),
    Column("cpu", STR, "", "processor model of the worker"),
    Column("threads", I32, "count", "torch threads used by the trial"),
    Column("gpu", STR, "", "GPU model; null when the trial ran on CPU"),
    Column("started_at", TIME, "UTC", "when the attempt started"),
    Column("finished_at", TIME, "UTC", "when the driver wrote the row", True),
    Column("measures_version", I32, "", "version of the instruments", True),
    Column("schema_version", I32, "", "version of this table", True),
)


@cache
def arrow_schema() -> pa.Schema:
    """The full Arrow schema, in column order, with `unit` and `meaning` as field metadata."""
    fields = [pa.field(c.name, c.type, nullable=not c.required, metadata={"unit": c.unit, "meaning": c.meaning}) for c in COLUMNS]
    return pa.schema(fields, metadata={"unilaw_schema_version": str(SCHEMA_VERSION)})
