"""Write what every chart says about a trial: hover lines, and the command that runs it again."""

import json
import shlex
from html import escape
from typing import Any

import pandas as pd

from reports.evidence import Evidence, records
from reports.measures import STABILITY
from reports.rerun import file_stems

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
COLUMNS = (
    "trial_id",
    "kind",
    "seed",
    "p",
    "config_json",
    STABILITY,
    "test_accuracy",
    "in_fit",
    "why_hollow",
    "frontier",
)
"""The columns that the texts are made of."""
LONGEST_SETTINGS = 160
"""Characters of the settings that the hover lines show."""


def trial_texts(evidence: Evidence) -> dict[str, list[str]]:
    """Return, by trial id, the escaped hover lines and the command that runs the trial again."""
    commands = _rerun_commands(evidence)
    return {
        row["trial_id"]: [
            *_hover_lines(row),
            commands.get(row["trial_id"], "its sweep file is not in the store"),
        ]
        for row in records(evidence.all_trials[list(COLUMNS)])
    }


def _hover_lines(row: dict[str, Any]) -> tuple[str, str, str]:
    """Return escaped lines: kind and trial; settings; figures and whether the trial counts."""
    settings = json.loads(row["config_json"])
    settings_line = ", ".join(
        f"{name} {value}" for name, value in settings.items() if name not in RECIPE
    )

    stability = "not measured" if pd.isna(row[STABILITY]) else f"{row[STABILITY]:.3g}"
    # S of the most robust fit is not the frontier of S.
    name = "S" if row["frontier"] is None else "S of the frontier model"
    figures = (
        f"seed {row['seed']}, p {row['p']:,}, {name} {stability},"
        f" accuracy {row['test_accuracy']:.3f}"
    )
    fit = "in the fit" if row["in_fit"] else "not in a fit"
    counts = f"{row['why_hollow']}; {fit}" if row["why_hollow"] else fit

    return (
        escape(f"{row['kind']} · trial {row['trial_id']}"),
        escape(settings_line[:LONGEST_SETTINGS]),
        escape(f"{figures}; {counts}"),
    )


def _rerun_commands(evidence: Evidence) -> dict[str, str]:
    """Return, by trial id, the escaped command that runs the trial again, into a store of its
    own. Of several sweeps that asked for a trial, the first is run again."""
    commands: dict[str, str] = {}
    for stem, sweep in zip(file_stems(evidence.sweeps), evidence.sweeps, strict=True):
        run = ["unilaw", "run", f"{stem}.yaml", "--trial"]
        where = ["--store", "rerun"]
        if sweep.task_source is not None:
            where += ["--task-file", f"{stem}.py"]

        before = escape(shlex.join(run))
        after = escape(shlex.join(where))
        for trial in sweep.trials:
            commands.setdefault(trial, f"{before} {trial} {after}")
    return commands
