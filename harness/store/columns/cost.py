"""What the trial cost: FLOPs, time, memory, and the size of what it left behind."""

from harness.store.column import ESTIMATE, F64, I64, STR, Column

COST: tuple[Column, ...] = (
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
    Column("measure_s", F64, "s", "measuring alone; of models measured together, an equal share"),
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
        "final weights, relative to the store; null when larger than the sweep's limit, or than the"
        " room on the disk",
    ),
    Column(
        "weights_sha256",
        STR,
        "",
        "SHA-256 of weights_file, which `unilaw measure` compares; null without that file, and in"
        " rows of before there was this column",
    ),
)
