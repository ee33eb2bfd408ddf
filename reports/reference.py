"""Published figures that charts and claims show beside the rows, each with its source."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "published"


class Published(NamedTuple):
    """Accuracy on MNIST under an attack, of a CNN of some capacity trained against PGD; pixels may change by 0.3."""

    key: str
    capacity: int
    parameters: int
    attack: str
    accuracy: float
    approximate: bool
    """Read off a figure."""
    source: str


@cache
def madry2018() -> tuple[Published, ...]:
    """Madry et al. 2018, arXiv 1706.06083."""
    with (FOLDER / "madry2018.csv").open(encoding="utf-8", newline="") as file:
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
            for i, row in enumerate(csv.DictReader(file))
        )
