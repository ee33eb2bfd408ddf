"""How long the model was trained, and how well it fits its training set."""

import pyarrow as pa

from harness.store.column import F64, I32, I64, STR, Column

CURVE = pa.list_(pa.struct([("step", I64), ("tokens", I64), ("loss", F64)]))

TRAINING: tuple[Column, ...] = (
    Column("epochs", I32, "epochs", "passes over the training set, the last perhaps in part"),
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
        "why the trials of a planned stack were trained one by one; or, for a trial over several"
        " processes, how many; null otherwise",
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
)
