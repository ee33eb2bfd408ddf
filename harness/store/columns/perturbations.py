"""Predictions under Gaussian input noise, changed tokens and image corruptions."""

import pyarrow as pa

from harness.store.column import ESTIMATE, F64, FLOATS, I32, STR, Column

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

PERTURBATIONS: tuple[Column, ...] = (
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
)
