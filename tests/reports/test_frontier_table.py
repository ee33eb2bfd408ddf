"""`law_fits` states the exponents that the page states for searches of the most robust fit, beside
those of plain training.

Run alone: python -m pytest tests/reports/test_frontier_table.py
"""

import json
from pathlib import Path
from typing import Any

import pytest

import unilaw
from reports.evidence import read_evidence
from reports.frontier import radii
from reports.frontier_answer import fit_frontier
from tests.reports.stores import make_store, row

N = 1024
DIMENSIONS = (64, 128, 256)


def searched(d: int, seed: int) -> dict[str, Any]:
    """Return a row of a search at p = n that found a radius of 0.7/√d, 2 % more with each seed."""
    of_plain = row(N, N, d, seed, stop_rule="epochs")
    radius = 0.7 / d**0.5 * (1 + 0.02 * seed)
    return of_plain | {
        "config_json": json.dumps(json.loads(of_plain["config_json"]) | {"frontier": "adversary"}),
        "frontier_radius": radius,
        "frontier_radius_missed": 1.04 * radius,
        "frontier_trap": False,
        "frontier_trainings": 7,
        "radius_law": 0.4,
        "radius_law_32bit": 1.5,
        "radius_ceiling": 0.6,
        "radius_ceiling_points": N,
    }


@pytest.mark.slow
def test_searches_have_the_exponents_of_the_page(tmp_path: Path):
    plain = [row(p, 64, 16, seed, stability=p**0.2) for p in (64, 128, 256) for seed in (0, 1)]
    searches = [searched(d, seed) for d in DIMENSIONS for seed in (0, 1)]
    store = make_store(tmp_path / "store", [*plain, *searches])

    fits = unilaw.law_fits(store)
    is_search = fits["measure"].eq("frontier_radius")
    assert (~is_search).any() and fits.loc[~is_search, "against"].eq("p").all()
    own = fits[is_search].set_index("filter")
    assert own["against"].tolist() == ["d", "d", "d", "d", "p"]
    assert own["kind"].unique().tolist() == ["sphere, ±1 target, pure noise"]

    (stated,) = fit_frontier(radii(read_evidence(store)))
    at_one = own[own.index.str.startswith("p/n = 1 in")].iloc[0]
    assert (at_one["slope"], at_one["low"], at_one["high"]) == stated.by_ratio[1][:3]
    assert at_one["slope"] == pytest.approx(-0.5) and at_one["low"] < -0.5 < at_one["high"]
    assert (at_one["rows"], at_one["cells"], at_one["curves"]) == (6, 3, 1)
    assert own["verdict"].unique().tolist() == [stated.verdict]
    assert own["failure"].iloc[-1] == "no curve spans a decade between onset and ceiling"

    further = unilaw.law_fits(store, from_onset=2)
    assert not further["measure"].eq("frontier_radius").any()
