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


def searched(d: int, seed: int, n: int = N) -> dict[str, Any]:
    """Return a row of a search at p = n that found a radius of 0.7/√d, 2 % more with each seed."""
    of_plain = row(n, n, d, seed, stop_rule="epochs")
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
        "radius_ceiling_points": n,
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
    at_one = own[own.index.str.startswith("p/n = 1 (within 10 %) in nets")].iloc[0]
    assert (at_one["slope"], at_one["low"], at_one["high"]) == stated.by_ratio[1][:3]
    assert at_one["slope"] == pytest.approx(-0.5) and at_one["low"] < -0.5 < at_one["high"]
    assert (at_one["rows"], at_one["cells"], at_one["curves"]) == (6, 3, 1)
    assert own["verdict"].unique().tolist() == [stated.verdict]
    assert own["failure"].iloc[-1] == "no curve spans a decade between onset and ceiling"

    further = unilaw.law_fits(store, from_onset=2)
    assert not further["measure"].eq("frontier_radius").any()


@pytest.mark.slow
def test_cells_without_a_radius_are_counted_and_what_widens_an_interval_is_said(tmp_path: Path):
    searches = [searched(d, seed) for d in DIMENSIONS for seed in (0, 1)]
    searches += [searched(64, seed, n=512) for seed in (0, 1)]  # its level has one d
    nothing = [searched(32, seed) | {"frontier_radius": 0.0} for seed in (0, 1)]
    plain = [row(p, 64, 16, stop_rule="epochs") for p in (64, 128)]
    fits = unilaw.law_fits(make_store(tmp_path / "store", [*plain, *searches, *nothing]))
    own = fits[fits["measure"].eq("frontier_radius")]
    assert own["left_out"].tolist() == [2, 0, 0, 2, 0]  # p/n = 1, 2, 4 and all; p
    assert own["rows"].iloc[0] == 6
    assert own["objective"].str.contains("widened by the slope of the search gap").all()
    assert own["filter"].tolist()[::4] == [
        "p/n = 1 (within 10 %) in nets of the least depth, where r_law lies below r∞ or is not"
        " known, and the measure is at most 0.5 r∞; two or more d a level",
        "p from 2 times the onset's on (within 10 %), measure at most 0.5 r∞, curves that span a"
        " decade of p, over which the local slope moves by at most ±0.1",
    ]
