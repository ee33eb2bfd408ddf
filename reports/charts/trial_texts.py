"""Write what every chart says about a trial: hover lines, and the command that runs it again."""

import json
import shlex
from html import escape
from typing import Any

import pandas as pd

from reports.evidence import Evidence, records
from reports.measures import STABILITY

RECIPE = (
    "lr",
    "batch_size",
    "micro_batch",
    "max_epochs",
    "source",
    "beta2",
    "clip",
    "final_lr",
    "warmup",
    "weight_decay",
    "precision",
    "compiled",
    "last_words",
    "last_words_most",
)
"""Settings that the hover lines leave out: they say how a model was trained, not which model it
is."""
LONGEST_SETTINGS = 160
"""Characters of the settings that the hover lines show."""


def trial_texts(evidence: Evidence) -> dict[str, list[str]]:
    """Return, by trial id, the escaped hover lines and the command that runs the trial again."""
    return {
        row["trial_id"]: [*_hover_lines(row), rerun_command(evidence, row)]
        for row in records(evidence.trials)
    }


def _hover_lines(row: dict[str, Any]) -> tuple[str, str, str]:
    """Return escaped lines: kind and trial; settings; figures and whether the trial counts."""
    settings = json.loads(row["config_json"])
    settings_line = ", ".join(
        f"{name} {value}" for name, value in settings.items() if name not in RECIPE
    )

    stability = "not measured" if pd.isna(row[STABILITY]) else f"{row[STABILITY]:.3g}"
    figures = (
        f"seed {row['seed']}, p {row['p']:,}, S {stability}, accuracy {row['test_accuracy']:.3f}"
    )
    fit = "in the fit" if row["in_fit"] else "not in a fit"
    counts = f"{row['why_hollow']}; {fit}" if row["why_hollow"] else fit

    return (
        escape(f"{row['kind']} · trial {row['trial_id']}"),
        escape(settings_line[:LONGEST_SETTINGS]),
        escape(f"{figures}; {counts}"),
    )


def rerun_command(evidence: Evidence, row: dict[str, Any]) -> str:
    """Return the escaped command that runs a trial again, into a store of its own."""
    trial = row["trial_id"]
    path = evidence.store.files.path
    for sweep in evidence.sweeps:
        if trial not in sweep.trials:
            continue
        sweep_file = path(f"{sweep.stem}.yaml")
        command = ["unilaw", "run", sweep_file, "--trial", trial, "--store", "rerun"]
        if sweep.task_source is not None:
            command += ["--task-file", path(f"{sweep.stem}.py")]
        return escape(shlex.join(command))
    return "its sweep file is not in the store"
