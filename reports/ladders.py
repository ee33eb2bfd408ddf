"""The ladders of a store: language models trained in a single pass, over sizes and tokens.

Rows: ok trials of the task `text-stream` at configurations whose every seed finished. There is one
ladder for each setting of everything but n and size, so for each corpus, tokenizer and recipe.
"""

import json
from typing import NamedTuple

import pandas as pd

TASK = "text-stream"


class LadderRows(NamedTuple):
    """One ladder: its number in the store, its settings in words, and its trials. unfinished: ids
    of its other ok trials, of configurations in which a seed failed or that lack a figure."""

    key: str
    settings: str
    trials: pd.DataFrame
    unfinished: tuple[str, ...]


def ladders_of(trials: pd.DataFrame) -> list[LadderRows]:
    """Return every ladder among the trials, in alphabetical order of the settings."""
    streamed = trials[trials["task"].eq(TASK)]
    usable = streamed["complete"] & streamed["test_loss"].gt(0) & streamed["tokens_seen"].gt(0)
    found = []
    for settings, rows in streamed.groupby(streamed["settings_json"].map(_without_n), sort=True):
        own = usable[rows.index]
        if own.any():
            unfinished = tuple(rows.loc[~own, "trial_id"])
            found.append(LadderRows(str(len(found)), str(settings), rows[own], unfinished))
    return found


def _without_n(settings_json: str) -> str:
    settings = sorted(json.loads(settings_json).items())
    return ", ".join(f"{name} {value}" for name, value in settings if name != "n")
