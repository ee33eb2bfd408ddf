"""What a search's row says, and which radii are refused because no model can have them.

Run alone: python -m pytest tests/measures/test_frontier_columns.py
"""

import math
from typing import Any

import pytest

from harness.errors import TrialFailure
from harness.execution.row_columns import radius_law_columns
from harness.measures.frontier_columns import refuse_impossible
from harness.noise import Noise

COIN = Noise("additive_sign", None, 0.5, sigma2=1.0)


def row(**columns: Any) -> dict[str, Any]:
    """Return the columns of a search on all of 100 points, which nothing refuses."""
    return {
        "frontier_radius": 0.3,
        "frontier_points": 100,
        "radius_law_32bit": 0.5,
        "radius_ceiling": 0.4,
        "radius_ceiling_points": 100,
        **columns,
    }


def test_a_possible_radius_is_taken():
    refuse_impossible(row(), n=100)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"radius_law_32bit": 0.29}, "32-bit weights"),
        ({"radius_ceiling": 0.29}, "different labels meet"),
    ],
    ids=["law", "ceiling"],
)
def test_an_impossible_radius_is_a_bug(columns: dict[str, Any], why: str):
    with pytest.raises(TrialFailure, match=why) as refused:
        refuse_impossible(row(**columns), n=100)
    assert refused.value.kind == "bug"


@pytest.mark.parametrize(
    "columns",
    [
        {"radius_ceiling": 0.29, "radius_ceiling_points": 50},
        {"radius_law_32bit": 0.29, "frontier_points": 50},
        {"radius_law_32bit": None, "radius_ceiling": 0.29},
    ],
    ids=["a ceiling of a draw", "verified on a draw", "no pure noise"],
)
def test_what_is_not_proved_refuses_nothing(columns: dict[str, Any]):
    refuse_impossible(row(**columns), n=100)


def test_the_law_by_hand():
    """p = n, d = 8, b = 1: sqrt(1 + 0.56 + ln(40)/n)."""
    columns = radius_law_columns(COIN, p=100, n=100, d=8, unit=2.0)
    assert columns["radius_law"] == pytest.approx(math.sqrt(1.56 + math.log(40) / 100) / 2)


def test_no_law_is_stated_without_pure_noise():
    planted = Noise("additive_sign", None, 0.3, sigma2=0.25)
    assert radius_law_columns(planted, p=100, n=100, d=8, unit=1.0) == {}
