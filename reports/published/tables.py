"""Read the published figures that charts and claims show beside the rows, each with its source."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Published(NamedTuple):
    """The accuracy on MNIST of a CNN trained against PGD, under one attack. Pixels may change by
    0.3."""

    key: str
    capacity: int
    parameters: int
    attack: str
    accuracy: float
    approximate: bool
    """The value was read off a figure."""
    source: str


@cache
def madry2018() -> tuple[Published, ...]:
    """Return the figures of Madry et al. 2018, arXiv 1706.06083."""
    return tuple(
        Published(
            f"madry2018-{i}",
            int(row["capacity"]),
            int(row["parameters"]),
            row["attack"],
            float(row["accuracy"]),
            row["approximate"] == "yes",
            row["source"],
        )
        for i, row in enumerate(_rows("madry2018.csv"))
    )


class LanguageModel(NamedTuple):
    """A published language model. A figure that was not published is None.

    `verified` says how far parameters and tokens were checked: primary (read in the source),
    secondary, memory or rumour. `from_memory` names the fields that nobody looked up.
    """

    name: str
    group: str
    parameters: float
    tokens: float | None
    layers: int | None
    d_model: int | None
    context: int | None
    verified: str
    from_memory: tuple[str, ...]
    source: str

    @property
    def place(self) -> float | None:
        """Return p/(n·d), parameters over tokens times numbers per token; None where either is
        unknown.

        With windows as samples the value is the same: n·d is then (tokens / context) ·
        (context · d_model).
        """
        if not self.tokens or not self.d_model:
            return None
        return self.parameters / (self.tokens * self.d_model)


class Accuracy(NamedTuple):
    """A published accuracy of one of these models. Two harnesses differ by several points on the
    same model.

    `shots`: zero-shot or few-shot; empty where the source at hand does not say.
    """

    key: str
    model: LanguageModel
    benchmark: str
    harness: str
    shots: str
    accuracy: float
    verified: str
    source: str


@cache
def language_models() -> tuple[LanguageModel, ...]:
    """Return the models in order of publication, each group from small to large."""
    return tuple(
        LanguageModel(
            row["name"],
            row["group"],
            float(row["parameters"]),
            float(row["tokens"]) if row["tokens"] else None,
            _count(row["layers"]),
            _count(row["d_model"]),
            _count(row["context"]),
            row["verified"],
            tuple(row["from_memory"].split()),
            row["source"],
        )
        for row in _rows("language_models.csv")
    )


@cache
def accuracies() -> tuple[Accuracy, ...]:
    """Return the published accuracies of the language models."""
    models = {m.name: m for m in language_models()}
    return tuple(
        Accuracy(
            f"accuracies-{i}",
            models[row["model"]],
            row["benchmark"],
            row["harness"],
            row["shots"],
            float(row["accuracy"]) / 100,
            row["verified"],
            row["source"],
        )
        for i, row in enumerate(_rows("accuracies.csv"))
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _count(text: str) -> int | None:
    return int(text) if text else None
