"""Write what every chart says about a trial: hover lines, and the command that runs it again.

Each trial has its texts once per page, whatever the number of charts that show it. They are plain
text; the page's script writes them as text.
"""

import json
import shlex
from typing import Any, NamedTuple

import pandas as pd

from reports.evidence import Evidence, records
from reports.measures import STABILITY
from reports.rerun import file_stems

STABILITY_ERROR = "stability_attack_se"
COLUMNS = (
    "trial_id",
    "kind",
    "seed",
    "p",
    "config_json",
    STABILITY,
    STABILITY_ERROR,
    "test_accuracy",
    "test_accuracy_se",
    "in_fit",
    "why_hollow",
)
"""The columns that the texts are made of."""
LONGEST_SETTINGS = 160
"""Characters of the settings that the hover lines show."""


class TrialTexts(NamedTuple):
    """commands: the text before and after a trial's id, one pair for each sweep. trials: by id,
    three lines and the place of the trial's command, -1 where its sweep file is not in the
    store."""

    commands: list[tuple[str, str]]
    trials: dict[str, tuple[str, str, str, int]]


def trial_texts(evidence: Evidence, drawn: set[str]) -> TrialTexts:
    """Return the texts of the trials in `drawn`, which are single marks of some chart."""
    commands, command_of = _rerun_commands(evidence, drawn)
    trials = evidence.all_trials[list(COLUMNS)]
    rows = records(trials[trials["trial_id"].isin(drawn)])
    settings = {row["trial_id"]: json.loads(row["config_json"]) for row in rows}
    varied = _varied([(row["kind"], settings[row["trial_id"]]) for row in rows])

    texts = {}
    for row in rows:
        trial = row["trial_id"]
        told = {k: v for k, v in settings[trial].items() if k in varied[row["kind"]]}
        texts[trial] = (*_lines(row, told), command_of.get(trial, -1))
    return TrialTexts(commands, texts)


def _varied(settings: list[tuple[str, dict[str, Any]]]) -> dict[str, set[str]]:
    """Return, for each kind, the settings in which its trials differ."""
    seen: dict[str, dict[str, set[str]]] = {}
    for kind, config in settings:
        own = seen.setdefault(kind, {})
        for name, value in config.items():
            own.setdefault(name, set()).add(json.dumps(value))
    return {
        kind: {name for name, values in own.items() if len(values) > 1}
        for kind, own in seen.items()
    }


def _lines(row: dict[str, Any], settings: dict[str, Any]) -> tuple[str, str, str]:
    """Return lines: kind and trial; settings; figures and whether the trial counts."""
    settings_line = ", ".join(f"{name} {value}" for name, value in settings.items())
    stability = _with_error(row[STABILITY], row[STABILITY_ERROR])
    accuracy = _with_error(row["test_accuracy"], row["test_accuracy_se"])
    figures = f"p {row['p']:,}, seed {row['seed']}; S {stability}, accuracy {accuracy}"

    fit = "in the fit" if row["in_fit"] else "not in a fit"
    counts = f"{row['why_hollow']}; {fit}" if row["why_hollow"] else fit
    return (
        f"{row['kind']} · trial {row['trial_id']}",
        settings_line[:LONGEST_SETTINGS],
        f"{figures}; {counts}",
    )


def _with_error(value: float, error: float) -> str:
    if pd.isna(value):
        return "not measured"
    return f"{value:.3g}" if pd.isna(error) else f"{value:.3g} ± {error:.1g} (standard error)"


def _rerun_commands(
    evidence: Evidence, drawn: set[str]
) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Return the commands that run a trial again, into a store of its own, and which of them each
    trial has. Of several sweeps that asked for a trial, the first is run again."""
    commands: list[tuple[str, str]] = []
    command_of: dict[str, int] = {}
    for stem, sweep in zip(file_stems(evidence.sweeps), evidence.sweeps, strict=True):
        run = ["unilaw", "run", f"{stem}.yaml", "--trial"]
        where = ["--store", "rerun"]
        if sweep.task_source is not None:
            where += ["--task-file", f"{stem}.py"]

        for trial in drawn & set(sweep.trials):
            command_of.setdefault(trial, len(commands))
        commands.append((shlex.join(run) + " ", " " + shlex.join(where)))
    return commands, command_of
