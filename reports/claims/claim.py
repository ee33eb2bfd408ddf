"""Define a claim, and what several claims need."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from reports.numbers import Sentence

NOT_TESTED = "not tested by this store"
ALL_DIGITS = 60_000


class Statement(NamedTuple):
    """A published statement. `rule` says beforehand what would support it and what would contradict
    it."""

    key: str
    statement: str
    source: str
    rule: str = ""


class Finding(NamedTuple):
    """A verdict with its sentences. The verdict is supported, contradicted, undecided (rows exist
    and decide nothing), arithmetic only, or not tested by this store."""

    verdict: str
    sentences: list[Sentence]


UNTESTED = Finding(NOT_TESTED, [])


def verdict_over(parts: Iterable[str]) -> str:
    """Return the verdict on a statement from the verdicts of several sets of rows: contradicted if
    any set contradicts it, supported if all support it."""
    verdicts = set(parts)
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if verdicts == {"supported"} else "undecided"


def clean_digits(trials: pd.DataFrame) -> pd.DataFrame:
    """Return whole cells of the ten-class MNIST task without injected noise."""
    return trials[
        trials["task"].eq("mnist")
        & trials["outputs"].eq(10)
        & trials["epsilon"].eq(0)
        & trials["complete"]
    ]
