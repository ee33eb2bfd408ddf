"""The table of radii: which searches make a cell, which plain model stands beside it, and which
cells a law can be read from.

Run alone: python -m pytest tests/reports/test_frontier.py
"""

import json
from typing import Any

import numpy as np
import pytest

from reports.evidence import read_evidence
from reports.frontier import radii
from reports.law import fit_all
from reports.measures import STABILITY
from tests.reports.planted_frontiers import (
    Shape,
    evidence_of,
    frontier_row,
    plain_row,
    width_of,
)
from tests.reports.stores import make_store, power_law, row

CELL = Shape(n=1024, d=128, width=16, depth=1)
"""p = 2 081, about 2n."""


def test_the_bracket_ends_at_the_smallest_miss_above_the_radius_of_any_search():
    searched = [
        frontier_row(CELL, 0, 0.10, frontier_radius_missed=0.104),
        frontier_row(CELL, 0, 0.11, frontier_radius_missed=0.13),
        frontier_row(CELL, 0, 0.05, way="penalty", frontier_radius_missed=0.12),
    ]
    (found,) = radii(evidence_of(searched, [])).to_dict("records")
    assert (found["radius"], found["missed"]) == (0.11, 0.12)
    (found,) = radii(evidence_of([frontier_row(CELL, 0, 0.2), searched[0]], [])).to_dict("records")
    assert found["missed"] == pytest.approx(0.21)


def at(p: float, n: int = 1024, d: int = 128) -> Shape:
    return Shape(n, d, width_of(p, d), 1)


def test_the_largest_radius_of_all_searches_on_the_same_data_counts():
    searched = [
        frontier_row(CELL, 0, 0.10),
        frontier_row(CELL, 0, 0.12, way="penalty"),
        frontier_row(CELL, 0, None),
        frontier_row(CELL, 1, 0.11),
    ]
    first, second = radii(evidence_of(searched, [])).to_dict("records")
    assert first["radius"] == 0.12 and first["missed"] == pytest.approx(0.126)
    assert (first["adversary"], first["penalty"]) == (0.10, 0.12)
    assert first["trial_id"] == tuple(r["trial_id"] for r in searched[:3])
    assert first["trainings"] == 15
    assert (second["seed"], second["radius"]) == (1, 0.11) and np.isnan(second["penalty"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "enters"),
    [
        ({}, True),
        ({"seed": 1}, False),
        ({"stop_rule": "noise"}, False),
        ({"adversary": "ℓ2 pgd"}, False),
        ({"epsilon": 0.0}, False),
        ({"training_radius": None}, False),
        ({"p": CELL.p + 1}, False),
    ],
)
def test_plain_training_of_the_same_cell_and_data_stands_beside_it(changes, enters):
    plain = plain_row(CELL, 0, 0.06) | changes
    other = plain_row(at(4096), 0, 0.2)
    (found,) = radii(evidence_of([frontier_row(CELL, 0, 0.1)], [other, plain])).to_dict("records")
    assert found["plain_id"] == ((plain["trial_id"],) if enters else ())
    assert found["plain"] == 0.06 if enters else np.isnan(found["plain"])


def test_a_search_that_fitted_no_radius_comes_before_the_onset():
    searched = [
        frontier_row(at(1024), 0, None),
        frontier_row(at(1024), 1, 0.05),  # one seed alone makes no fitted cell
        *[frontier_row(at(2048), seed, 0.1) for seed in (0, 1)],
        *[frontier_row(at(4096), seed, 0.15) for seed in (0, 1)],
        *[frontier_row(at(32768), seed, 0.31) for seed in (0, 1)],
    ]
    found = radii(evidence_of(searched, []))
    assert set(found["onset"]) == {at(2048).p}
    by_size = found.groupby("p").first()
    assert by_size["fitted"].tolist() == [False, True, True, True]
    # 4 096 is 2× the onset only to within a neuron; .31 lies above half of r∞ = .61
    assert by_size["window"].tolist() == [False, False, True, False]
    assert by_size["below_ceiling"].tolist() == [False, True, True, False]


def test_the_law_can_bind_where_r_law_lies_below_the_ceiling():
    shapes = [at(1024), at(4096), at(8192), at(1024, d=32)]
    found = radii(evidence_of([frontier_row(s, 0, 0.05) for s in shapes], []))
    assert found["binds"].tolist() == [True, True, False, False]
    assert found["bound"].tolist() == [True, True, True, False]
    unknown: dict[str, Any] = {"radius_law": None, "radius_law_32bit": None}
    found = radii(evidence_of([frontier_row(s, 0, 0.05, **unknown) for s in shapes], []))
    assert not found["binds"].any() and not found["law_known"].any() and found["bound"].all()


def test_nets_of_another_depth_or_dimension_lie_on_another_curve():
    shapes = [CELL, Shape(1024, 128, 16, 2), Shape(1024, 64, 16, 1), Shape(1024, 128, 32, 1)]
    found = radii(evidence_of([frontier_row(s, 0, 0.05) for s in shapes], []))
    assert found["curve"].nunique() == 3 and found["cell"].nunique() == 4
    assert found["neurons"].tolist() == [16, 32, 16, 32]


def test_without_a_search_there_is_no_table(tmp_path):
    evidence = read_evidence(make_store(tmp_path / "store", [row()]))
    assert radii(evidence).empty and evidence.frontier.empty


@pytest.mark.slow
def test_a_search_enters_no_fit_of_plain_training(tmp_path):
    plain = power_law(0.3, spread=0.05, ns=(100, 200, 400))
    searched = [
        r
        | {
            "trial_id": r["trial_id"][::-1],
            "config_json": json.dumps(json.loads(r["config_json"]) | {"frontier": "adversary"}),
            STABILITY: 9.0,
        }
        for r in plain
    ]
    alone = read_evidence(make_store(tmp_path / "alone", plain))
    both = read_evidence(make_store(tmp_path / "both", [*searched, *plain]))
    assert len(both.frontier) == len(searched) and len(both.all_trials) == 2 * len(plain)
    assert both.frontier["kind"].unique().tolist() == [
        "sphere, ±1 target, pure noise, most robust fit by adversary"
    ]
    assert both.trials["problem"].unique().tolist() == ["sphere, ±1 target, pure noise"]
    assert repr(fit_all(both.trials)) == repr(fit_all(alone.trials))
