"""Configurations as points of a grid: which fields vary, and which values come next.

varied(configs), steps([8, 16, 32])    # ["n", "width"], [11, 23, 64]
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

Config = dict[str, Any]


def steps(values: Iterable[float]) -> list[int]:
    """Return the whole numbers between the values, on a logarithmic scale, and one rung beyond the
    largest."""
    own = sorted(set(values))
    if len(own) < 2:
        return []
    between = [round((a * b) ** 0.5) for a, b in zip(own, own[1:], strict=False)]
    beyond = round(own[-1] ** 2 / own[-2])
    return [value for value in dict.fromkeys([*between, beyond]) if value not in own]


def nearest(value: int, values: Iterable[int]) -> int:
    """Return the smallest of the values that is at least `value`, or the largest."""
    own = sorted(values)
    return next((other for other in own if other >= value), own[-1])


def configs_of(rows: pd.DataFrame) -> list[Config]:
    return [json.loads(text) for text in rows["config_json"].unique()]


def differing(configs: Sequence[Config]) -> list[str]:
    """Return the fields that have several values."""
    names = {name for config in configs for name in config}
    return sorted(
        name for name in names if len({json.dumps(config.get(name)) for config in configs}) > 1
    )


def varied(configs: Sequence[Config]) -> list[str]:
    """Return the fields of whole numbers that have several values."""
    return [
        name
        for name in differing(configs)
        if all(type(config.get(name)) is int for config in configs)
    ]


def without(config: Config, field: str) -> Config:
    return {name: value for name, value in config.items() if name != field}


def key_of(config: Config) -> str:
    return json.dumps(config, sort_keys=True)
