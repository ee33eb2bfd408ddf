"""Compare two measurements of one model: equal up to rounding, except for figures that rounding
moves by whole points or sends another way."""

from typing import Any

import pytest

COUNTED = {"lip_lower_pairs_agreement", "stability_attack_disagreement"}
"""Columns of shares that rounding moves by several points."""

SMALL = {"lip_lower_residual"}
"""Columns that are rounding themselves."""

ASCENDED = {
    "lip_lower_pairs",
    "lip_lower_normalised",
    "lip_lower_logprob_pairs",
    "lip_lower_logprob_normalised",
}
"""Columns found by an ascent that rounding can send another way."""


def alike(name: str, a: Any, b: Any, points: int, rel: float = 1e-3) -> bool:
    """Return whether two measured values agree as far as rounding lets them."""
    if name in ("lip_lower_pairs_distance", "lip_lower_pairs_off_centre"):
        return a >= 0 and b >= 0
    if name in COUNTED:
        return abs(a - b) <= 0.2
    if name in SMALL:
        return a < 1e-3 and b < 1e-3
    if name in ASCENDED:
        return a == pytest.approx(b, rel=0.05)
    if name.startswith("robust_accuracy"):
        return a == pytest.approx(b, abs=2 / points)
    if isinstance(a, float) and isinstance(b, float):
        return a == pytest.approx(b, rel=rel, abs=1e-7, nan_ok=True)
    if name == "pictures" and isinstance(a, list) and isinstance(b, list):
        distances = [picture["distance"] for picture in a]
        return distances == pytest.approx([picture["distance"] for picture in b], rel=rel)
    if isinstance(a, list) and a and isinstance(a[0], float):
        return a == pytest.approx(b, rel=rel, abs=1e-7)
    return a == b
