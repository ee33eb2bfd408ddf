"""What was run: the trial, its task and configuration, and whether it succeeded."""

from harness.store.column import I32, I64, STR, Column

TRIAL: tuple[Column, ...] = (
    Column(
        "trial_id",
        STR,
        "",
        "hash of task, version, source, configuration, data content and seed",
        required=True,
    ),
    Column(
        "attempt", I32, "count", "1 for the first run of this trial in this store", required=True
    ),
    Column("status", STR, "", "ok or failed", required=True),
    Column("failure_kind", STR, "", "oom, nan, timeout, crash, preempted or bug; null when ok"),
    Column("failure_message", STR, "", "what the trial said when it failed; null when ok"),
    Column("sweep", STR, "", "name of the sweep file that asked for the trial", required=True),
    Column("task", STR, "", "name of the task", required=True),
    Column("task_version", I32, "", "version of the task's definition", required=True),
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
        required=True,
    ),
    Column(
        "config_json", STR, "", "the full configuration, defaults included, as JSON", required=True
    ),
    Column(
        "settings_json",
        STR,
        "",
        "the configuration less its size and source fields, and which data it read: what stays"
        " fixed along a curve in p",
        required=True,
    ),
)
