"""The ladders of a store: language models trained in a single pass, over sizes and tokens.

Rows: ok trials of the task `text-stream` at configurations whose every seed finished. There is one
ladder for each setting of everything but n and size, so for each corpus, tokenizer and recipe.
"""

import json
from typing import NamedTuple

import pandas as pd

TASK = "text-stream"


class LadderRows(NamedTuple):
    """One ladder: its number in the store, its settings in words, and its trials."""

    key: str
    settings: str
    trials: pd.DataFrame


def ladders_of(trials: pd.DataFrame) -> list[LadderRows]:
    """Return every ladder among the trials, in alphabetical order of the settings."""
    usable = (
        trials["task"].eq(TASK)
        & trials["complete"]
        & trials["test_loss"].gt(0)
        & trials["tokens_seen"].gt(0)
    )
    trials = trials[usable]
    groups = trials.groupby(trials["settings_json"].map(_without_n), sort=True)
    return [LadderRows(str(i), str(settings), rows) for i, (settings, rows) in enumerate(groups)]


def _without_n(settings_json: str) -> str:
    settings = sorted(json.loads(settings_json).items())
    return ", ".join(f"{name} {value}" for name, value in settings if name != "n")
