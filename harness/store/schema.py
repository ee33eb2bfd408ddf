"""The row: every column that a trial reports, with its type, unit and meaning. The only place that
knows.

>>> from harness.store.schema import arrow_schema
>>> arrow_schema().field("p").metadata[b"unit"]
b'parameters'
"""

from functools import cache
from typing import Any, NamedTuple

import pyarrow as pa

SCHEMA_VERSION = 5
MEASURES_VERSION = 5
"""Raised whenever an instrument in `harness/measures/` starts to give other numbers."""


Columns = dict[str, Any]
"""Values of one row, or of a part of it, by the name of their column."""


class Column(NamedTuple):
    name: str
    type: pa.DataType
    unit: str
    meaning: str
    required: bool = False
    bound: str = ""
    """What a measured figure is of the quantity it is about: lower bound, estimate or upper
    bound. Empty: the thing itself."""


STR, BOOL, I32, I64, F64 = pa.string(), pa.bool_(), pa.int32(), pa.int64(), pa.float64()
TIME = pa.timestamp("us", tz="UTC")
FLOATS = pa.list_(F64)
GROUPS = pa.list_(pa.struct([("group", STR), ("trainable", I64), ("frozen", I64)]))
CORRUPTIONS = pa.list_(
    pa.struct(
        [
            ("kind", STR),
            ("severity", I32),
            ("size", F64),
            ("accuracy", F64),
            ("accuracy_se", F64),
            ("flip_rate", F64),
        ]
    )
)
PICTURES = pa.list_(pa.struct([("label", STR), ("before", STR), ("after", STR), ("distance", F64)]))
TOKEN_CHANGES = pa.list_(
    pa.struct(
        [
            ("kind", STR),
            ("distance", I32),
            ("accuracy", F64),
            ("accuracy_se", F64),
            ("kl", F64),
            ("kl_se", F64),
            ("flip_rate", F64),
        ]
    )
)
CURVE = pa.list_(pa.struct([("step", I64), ("tokens", I64), ("loss", F64)]))
LOWER, ESTIMATE, UPPER = "lower bound", "estimate", "upper bound"

COLUMNS: tuple[Column, ...] = (
    # What was run
    Column(
        "trial_id",
        STR,
        "",
        "hash of task, version, source, configuration, data content and seed",
        True,
    ),
    Column("attempt", I32, "count", "1 for the first run of this trial in this store", True),
    Column("status", STR, "", "ok or failed", True),
    Column("failure_kind", STR, "", "oom, nan, timeout, crash, preempted or bug; null when ok"),
    Column("failure_message", STR, "", "what the trial said when it failed; null when ok"),
    Column("sweep", STR, "", "name of the sweep file that asked for the trial", True),
    Column("task", STR, "", "name of the task", True),
    Column("task_version", I32, "", "version of the task's definition", True),
    Column(
        "family",
        STR,
        "",
        "kind of model and data, e.g. sphere, mnist-mlp, mnist-cnn; null when failed",
    ),
    Column(
        "seed",
        I64,
        "",
        "the trial's seed; data, noise, init and order draw from separate streams of it",
        True,
    ),
    Column("config_json", STR, "", "the full configuration, defaults included, as JSON", True),
    Column(
        "settings_json",
        STR,
        "",
        "the configuration less its size and source fields, and which data it read: what stays"
        " fixed along a curve in p",
        True,
    ),
    # Size
    Column("p", I64, "parameters", "trainable parameters; tied weights count once"),
    Column("p_frozen", I64, "parameters", "parameters that are never trained; not part of p"),
    Column(
        "params_by_group",
        GROUPS,
        "parameters",
        "trainable and frozen parameters of each top-level module",
    ),
    Column("n", I64, "samples", "training samples"),
    Column("d_ambient", I64, "dimensions", "numbers in one input"),
    Column(
        "outputs",
        I32,
        "count",
        "1 for a ±1 target under squared loss, K for K classes under cross-entropy",
    ),
    Column(
        "tokens_distinct",
        I64,
        "tokens",
        "distinct supervised targets: one per sample, or every position of a text; null where not"
        " published",
    ),
    Column("tokens_seen", I64, "tokens", "supervised targets trained on, repeats counted"),
    Column("params_per_token", F64, "parameters / token", "p / tokens_distinct"),
    # Noise, and whether the law's hypothesis was met
    Column(
        "noise_kind", STR, "", "label_flip, label_resample, target_resample, additive_sign or none"
    ),
    Column("eta", F64, "probability", "share of labels flipped or redrawn; null for additive_sign"),
    Column(
        "sigma2",
        F64,
        "target²",
        "injected E Var[y|x] of a ±1 target: a lower bound on the noise; null for classes",
    ),
    Column(
        "bayes_error",
        F64,
        "probability",
        "R*: injected Bayes error of the label (for a ±1 target, of its sign): a lower bound",
    ),
    Column(
        "epsilon",
        F64,
        "sigma2 or error",
        "how far below the noise counts as below: sigma2/2 or bayes_error/2",
    ),
    Column("stop_rule", STR, "", "noise (down to noise level − epsilon), interpolate, or epochs"),
    Column(
        "stop_reason",
        STR,
        "",
        "below_noise, interpolated, epoch_cap, or not_trained (a model that came trained)",
    ),
    Column(
        "below_noise", BOOL, "", "training fit at stop ≤ noise level − epsilon, with epsilon > 0"
    ),
    Column(
        "below_bayes_error",
        BOOL,
        "",
        "training 0-1 error at stop ≤ bayes_error / 2 > 0: what the law's stability form asks for",
    ),
    Column("isoperimetry", STR, "", "proved (the sphere) or assumed (real data)"),
    Column(
        "law_n_large_enough",
        BOOL,
        "",
        "n·epsilon² ≥ 8⁴·log(8/0.05), the theorem's condition on n with k = 1",
    ),
    # Fit and accuracy
    Column("epochs", I32, "epochs", "passes over the training set"),
    Column("steps", I64, "steps", "optimiser steps"),
    Column(
        "resumed_epoch",
        I32,
        "epochs",
        "epoch of the checkpoint that training went on from; null when it began at the beginning",
    ),
    Column(
        "resumed_step",
        I64,
        "steps",
        "the same of a language model's single pass, in optimiser steps",
    ),
    Column("stack_size", I32, "trials", "trials trained together as one program; 1: alone"),
    Column(
        "stack_note",
        STR,
        "",
        "why a stack that was planned was trained one by one, or over how many processes a trial"
        " was; null otherwise",
    ),
    Column(
        "train_loss",
        F64,
        "loss",
        "mean over the training set at stop: squared error, or cross-entropy in nats",
    ),
    Column(
        "train_error",
        F64,
        "share",
        "training labels (noise included) that are predicted wrongly at stop",
    ),
    Column(
        "loss_curve",
        CURVE,
        "nats / token",
        "mean training loss since the point before, along a language model's pass; null for others",
    ),
    Column(
        "test_loss",
        F64,
        "loss",
        "mean over the held-out set, labels without injected noise where they exist",
    ),
    Column(
        "test_loss_se",
        F64,
        "loss",
        "standard error of a language model's test_loss, over windows; null for others",
    ),
    Column(
        "bits_per_byte",
        F64,
        "bits / byte",
        "test_loss of every position of held-out text, per byte of it; null where inputs are no"
        " text",
        bound=ESTIMATE,
    ),
    Column(
        "test_accuracy",
        F64,
        "share",
        "held-out labels (of a language model: next tokens) predicted rightly",
    ),
    Column(
        "test_accuracy_se",
        F64,
        "share",
        "standard error of test_accuracy: binomial, of a language model over windows",
    ),
    Column("test_n", I64, "samples", "held-out samples behind test_loss and test_accuracy"),
    Column(
        "last_word_accuracy",
        F64,
        "share",
        "texts whose last word is predicted whole, greedily, as in LAMBADA; null without such"
        " texts",
    ),
    Column("last_word_accuracy_se", F64, "share", "its binomial standard error"),
    Column("last_word_n", I64, "texts", "texts behind it"),
    Column(
        "ece",
        F64,
        "probability",
        "expected calibration error over 15 equal-width bins of the predicted label's probability",
        bound=ESTIMATE,
    ),
    Column("ece_se", F64, "probability", "its standard error, bootstrap over the held-out set"),
    Column(
        "nll",
        F64,
        "nats",
        "mean negative log-likelihood of held-out labels; null for ±1 targets, whose f gives no"
        " likelihood",
        bound=ESTIMATE,
    ),
    Column("nll_se", F64, "nats", "standard error of nll over the held-out set"),
    Column(
        "brier",
        F64,
        "squared probability",
        "mean squared distance of predicted probabilities from the label, summed over classes",
        bound=ESTIMATE,
    ),
    Column("brier_se", F64, "squared probability", "standard error of brier over the held-out set"),
    # The data; one data unit is the data set's mean ‖x − mean x‖
    Column("data_unit", F64, "raw l2", "length of one data unit"),
    Column(
        "d_points",
        I64,
        "samples",
        "inputs behind the estimates of dimension and the pairwise distances",
    ),
    Column(
        "d_participation",
        F64,
        "dimensions",
        "PCA participation ratio of the inputs, (Σλ)²/Σλ²",
        bound=ESTIMATE,
    ),
    Column(
        "d_participation_spread",
        F64,
        "dimensions",
        "its standard deviation over disjoint subsamples",
    ),
    Column(
        "d_twonn", F64, "dimensions", "TwoNN estimate of the intrinsic dimension", bound=ESTIMATE
    ),
    Column("d_twonn_spread", F64, "dimensions", "its standard deviation over disjoint subsamples"),
    Column(
        "d_mle",
        F64,
        "dimensions",
        "Levina and Bickel's maximum-likelihood estimate of the intrinsic dimension",
        bound=ESTIMATE,
    ),
    Column("d_mle_spread", F64, "dimensions", "its standard deviation over disjoint subsamples"),
    Column("p_over_nd_ambient", F64, "parameters / number", "p / (n·d), d = d_ambient"),
    Column(
        "p_over_nd_participation",
        F64,
        "parameters / number",
        "p / (n·d), d = d_participation",
        bound=ESTIMATE,
    ),
    Column("p_over_nd_twonn", F64, "parameters / number", "p / (n·d), d = d_twonn", bound=ESTIMATE),
    Column("p_over_nd_mle", F64, "parameters / number", "p / (n·d), d = d_mle", bound=ESTIMATE),
    Column(
        "pair_distance_mean",
        F64,
        "data units",
        "mean distance of two different inputs",
        bound=ESTIMATE,
    ),
    Column(
        "pair_distance_sd",
        F64,
        "data units",
        "standard deviation of that distance over pairs",
        bound=ESTIMATE,
    ),
    Column(
        "pair_distance_quantiles",
        FLOATS,
        "data units",
        "its 1, 5, 25, 50, 75, 95 and 99 % quantiles over pairs",
        bound=ESTIMATE,
    ),
    # Stability: distance from held-out points to the decision boundary
    Column("measure_points", I64, "samples", "held-out points behind every sensitivity column"),
    Column(
        "stability_cap", F64, "data units", "distances above this count as this, and as censored"
    ),
    Column(
        "stability_first_order_mean",
        F64,
        "data units",
        "mean over points of min(|margin|/‖∇margin‖, cap), over the 8 nearest rivals of a"
        " vocabulary; points with a zero gradient left out",
        bound=ESTIMATE,
    ),
    Column(
        "stability_first_order_median",
        F64,
        "data units",
        "median of the same, zero-gradient points as cap",
        bound=ESTIMATE,
    ),
    Column(
        "stability_first_order_censored",
        F64,
        "share",
        "points with a zero gradient or beyond the cap",
    ),
    Column(
        "stability_attack_mean",
        F64,
        "data units",
        "S: mean over points of min(distance to the nearest label change found, cap)",
        bound=UPPER,
    ),
    Column(
        "stability_attack_se",
        F64,
        "data units",
        "standard error of stability_attack_mean over points",
    ),
    Column("stability_attack_median", F64, "data units", "median of the same", bound=UPPER),
    Column(
        "stability_attack_censored",
        F64,
        "share",
        "points for which no label change was found within the cap",
        bound=UPPER,
    ),
    Column(
        "stability_attack_mean_l2", F64, "raw l2", "stability_attack_mean × data_unit", bound=UPPER
    ),
    Column(
        "stability_attack_disagreement",
        F64,
        "share",
        "points at which the search's two beginnings ended more than 10 % apart",
    ),
    Column(
        "stability_certified_mean",
        F64,
        "data units",
        "mean over points of min(margin / (√2·lip_upper_product), cap), |f| / lip_upper_product for"
        " ±1; null without an upper bound",
        bound=LOWER,
    ),
    Column(
        "stability_certified_violations",
        I64,
        "samples",
        "points whose certified distance exceeds the one that the search found; must be 0",
    ),
    # Lipschitz constants: three groups that never mix. J: of f for ±1 targets, of the K logits for
    # classes
    Column(
        "gradient_of",
        STR,
        "",
        "f (±1 target), or margin: top logit minus runner-up: what the two _grad columns are about",
    ),
    Column(
        "lip_lower_grad",
        F64,
        "output / data unit",
        "largest ‖∇‖ over the held-out points, tangential on the sphere",
        bound=LOWER,
    ),
    Column(
        "lip_lower_grad_ambient",
        F64,
        "output / data unit",
        "as lip_lower_grad with the gradient in all of R^d",
        bound=LOWER,
    ),
    Column(
        "lip_lower_jacobian",
        F64,
        "output / data unit",
        "largest ‖J‖₂ over the three sets of points below, tangential on the sphere",
        bound=LOWER,
    ),
    Column(
        "lip_lower_jacobian_held_out",
        F64,
        "output / data unit",
        "over held-out points",
        bound=LOWER,
    ),
    Column(
        "lip_lower_jacobian_train",
        F64,
        "output / data unit",
        "over training points; of a language model, windows of the training text",
        bound=LOWER,
    ),
    Column(
        "lip_lower_jacobian_off_data",
        F64,
        "output / data unit",
        "over midpoints of random pairs of training points",
        bound=LOWER,
    ),
    Column(
        "lip_lower_residual",
        F64,
        "relative",
        "largest ‖JᵀJv − σ²v‖ / σ² of a singular pair behind the Jacobian norms",
    ),
    Column(
        "lip_lower_pairs",
        F64,
        "output / data unit",
        "largest ‖f(u) − f(v)‖ / ‖u − v‖ found by ascent, lip_lower_jacobian included",
        bound=LOWER,
    ),
    Column(
        "lip_lower_pairs_distance",
        F64,
        "data units",
        "‖u − v‖ of that pair; 0 when the Jacobian's norm was not exceeded",
    ),
    Column(
        "lip_lower_pairs_agreement",
        F64,
        "share",
        "restarts of the ascent that ended within 5 % of the best",
    ),
    Column(
        "lip_lower_pairs_off_centre",
        F64,
        "data units",
        "how far from the training inputs' mean it was found; the inputs lie at about 1",
    ),
    Column(
        "lip_lower_normalised",
        F64,
        "1 / data unit",
        "lip_lower_pairs / margin_mean: unmoved when the outputs are rescaled",
        bound=LOWER,
    ),
    Column(
        "lip_lower_logprob_jacobian",
        F64,
        "nats / data unit",
        "lip_lower_jacobian of the log-probabilities; null for ±1 targets",
        bound=LOWER,
    ),
    Column(
        "lip_lower_logprob_pairs",
        F64,
        "nats / data unit",
        "lip_lower_pairs of the log-probabilities",
        bound=LOWER,
    ),
    Column(
        "lip_lower_logprob_normalised",
        F64,
        "1 / data unit",
        "lip_lower_logprob_pairs / margin_mean",
        bound=LOWER,
    ),
    Column(
        "lip_mean_grad",
        F64,
        "output / data unit",
        "mean ‖∇‖ over the held-out points, tangential on the sphere; no law holds for it",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_grad_ambient",
        F64,
        "output / data unit",
        "as lip_mean_grad with the gradient in all of R^d",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_jacobian",
        F64,
        "output / data unit",
        "mean ‖J‖₂ over the held-out points, tangential on the sphere",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_jacobian_se",
        F64,
        "output / data unit",
        "standard error of lip_mean_jacobian over points",
    ),
    Column(
        "lip_mean_normalised",
        F64,
        "1 / data unit",
        "lip_mean_jacobian / margin_mean",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_logprob_jacobian",
        F64,
        "nats / data unit",
        "mean ‖J‖₂ of the log-probabilities over the held-out points",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_logprob_normalised",
        F64,
        "1 / data unit",
        "lip_mean_logprob_jacobian / margin_mean",
        bound=ESTIMATE,
    ),
    Column(
        "lip_upper_product",
        F64,
        "output / data unit",
        "product of the layers' spectral norms, in all of R^d; null with a note",
        bound=UPPER,
    ),
    Column(
        "lip_upper_normalised", F64, "1 / data unit", "lip_upper_product / margin_mean", bound=UPPER
    ),
    Column(
        "lip_upper_logprob_product",
        F64,
        "nats / data unit",
        "√K · lip_upper_product, for the K log-probabilities",
        bound=UPPER,
    ),
    Column(
        "lip_upper_logprob_normalised",
        F64,
        "1 / data unit",
        "lip_upper_logprob_product / margin_mean",
        bound=UPPER,
    ),
    Column(
        "lip_upper_residual",
        F64,
        "relative",
        "largest relative residual of a layer's norm; the norms are raised by it",
    ),
    Column(
        "lip_upper_note", STR, "", "why there is no certified upper bound; null when there is one"
    ),
    Column(
        "margin_mean",
        F64,
        "output",
        "mean |f|, or mean of top logit minus runner-up, over the held-out points",
    ),
    # Adversarial accuracy: held-out labels predicted rightly on the whole ball, as far as the
    # attacks found
    Column("robust_l2_radii", FLOATS, "data units", "radii of the ℓ2 balls; inputs unconstrained"),
    Column(
        "robust_accuracy_l2",
        FLOATS,
        "share",
        "accuracy on those balls, one value per radius",
        bound=UPPER,
    ),
    Column("robust_accuracy_l2_se", FLOATS, "share", "its binomial standard error"),
    Column("robust_linf_radii", FLOATS, "raw", "radii of the ℓ∞ balls in the inputs' own numbers"),
    Column(
        "robust_linf_box",
        FLOATS,
        "raw",
        "least and greatest value that an attacked input may hold; null: unconstrained",
    ),
    Column(
        "robust_accuracy_linf",
        FLOATS,
        "share",
        "accuracy on those balls, cut with the box, one value per radius",
        bound=UPPER,
    ),
    Column("robust_accuracy_linf_se", FLOATS, "share", "its binomial standard error"),
    Column(
        "attack_warnings",
        pa.list_(STR),
        "",
        "signs of masked gradients or of an ℓ2 search that failed; empty when there are none",
    ),
    # Noise and corruption
    Column(
        "noise_radii",
        FLOATS,
        "data units",
        "root-mean-square length of the Gaussian input noise tried",
    ),
    Column(
        "noise_accuracy",
        FLOATS,
        "share",
        "held-out accuracy under that noise, one value per radius",
        bound=ESTIMATE,
    ),
    Column("noise_accuracy_se", FLOATS, "share", "binomial standard error of noise_accuracy"),
    Column(
        "noise_flip_rate",
        FLOATS,
        "share",
        "predictions that the noise changed, one value per radius",
        bound=ESTIMATE,
    ),
    Column(
        "noise_output_change",
        FLOATS,
        "output",
        "root mean square of ‖f(x + noise) − f(x)‖, one value per radius",
        bound=ESTIMATE,
    ),
    Column(
        "noise_kl",
        FLOATS,
        "nats",
        "mean KL(p(x) ‖ p(x + noise)) of the predicted probabilities, one value per radius; null"
        " for ±1 targets",
        bound=ESTIMATE,
    ),
    Column(
        "token_changes",
        TOKEN_CHANGES,
        "share, nats",
        "windows of text: accuracy, KL from the clean prediction and changed predictions when one"
        " token is replaced at random, swapped with the one before it, or mistyped, by its distance"
        " from the target",
        bound=ESTIMATE,
    ),
    Column(
        "corruptions",
        CORRUPTIONS,
        "share",
        "images: accuracy and changed predictions under shifts, rotations, blur and contrast, by"
        " severity",
        bound=ESTIMATE,
    ),
    # Pictures
    Column(
        "pictures_file",
        STR,
        "",
        "PNG in the store: a few held-out images, the smallest changes found, and their sums, cut"
        " at the ends of the box",
    ),
    Column(
        "pictures",
        PICTURES,
        "data units",
        "for each of them the label, the predictions before and after, and the change's length",
        bound=UPPER,
    ),
    # Cost
    Column(
        "flops",
        F64,
        "FLOP",
        "training FLOPs: forward and backward of every sample seen, an adversary's passes included,"
        " counted by torch",
    ),
    Column(
        "flops_6nd",
        F64,
        "FLOP",
        "the rule of thumb 6 · p · tokens_seen, beside it; without an adversary's passes",
        bound=ESTIMATE,
    ),
    Column("wall_s", F64, "s", "whole trial: data, training, measuring; of a stack, its share"),
    Column(
        "train_s",
        F64,
        "s",
        "training alone, since the last checkpoint; of a stack, its share by epochs",
    ),
    Column("measure_s", F64, "s", "measuring alone; of a stack, an equal share"),
    Column("measure_share", F64, "share", "measure_s / (train_s + measure_s)"),
    Column(
        "peak_bytes",
        I64,
        "bytes",
        "peak memory of the trial or its stack: GPU allocator, or the worker's resident set with"
        " its libraries",
    ),
    Column(
        "weights_file",
        STR,
        "",
        "final weights, relative to the store; null when larger than the sweep's limit",
    ),
    # Provenance
    Column("data_hash", STR, "", "SHA-256 of the tensors trained and tested on"),
    Column(
        "unilaw_version", STR, "", "version of this package in the process that ran the trial", True
    ),
    Column("commit", STR, "", "git commit of the source tree; null when not run from one"),
    Column("dirty", BOOL, "", "the source tree had uncommitted changes"),
    Column("python_version", STR, "", ""),
    Column("torch_version", STR, "", ""),
    Column("ray_version", STR, "", "null for an inline run"),
    Column("cpu", STR, "", "processor model of the worker"),
    Column("threads", I32, "count", "torch threads used by the trial"),
    Column("gpu", STR, "", "GPU model; null when the trial ran on CPU"),
    Column("gpus", F64, "GPUs", "GPUs that the trial ran on; below 1 a share of one; 0 on CPU"),
    Column(
        "environment_json",
        STR,
        "",
        "the environment variables of a fixed list that change results or speed, as JSON",
    ),
    Column("started_at", TIME, "UTC", "when the attempt started"),
    Column("finished_at", TIME, "UTC", "when the driver wrote the row", True),
    Column("measures_version", I32, "", "version of the instruments", True),
    Column(
        "measured_commit",
        STR,
        "",
        "commit that `unilaw measure` measured the kept weights with; null when measured by the"
        " trial itself",
    ),
    Column("measured_at", TIME, "UTC", "when it did"),
    Column("schema_version", I32, "", "version of this table", True),
)


@cache
def arrow_schema() -> pa.Schema:
    """The full Arrow schema, in column order, with `unit`, `meaning` and `bound` as field
    metadata."""
    fields = [
        pa.field(
            c.name,
            c.type,
            nullable=not c.required,
            metadata={"unit": c.unit, "meaning": c.meaning, "bound": c.bound},
        )
        for c in COLUMNS
    ]
    return pa.schema(fields, metadata={"unilaw_schema_version": str(SCHEMA_VERSION)})
