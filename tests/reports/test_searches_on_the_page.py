"""The whole page holds searches for the most robust fit beside plain training.

Run alone: python -m pytest tests/reports/test_searches_on_the_page.py
"""

import json

import pytest

from reports.evidence import read_evidence
from reports.page import render
from tests.reports.page_reader import Page
from tests.reports.stores import make_store, row


@pytest.mark.slow
def test_the_whole_page_holds_searches_beside_plain_training(tmp_path):
    plain = [row(p, 64, 16, stop_rule="interpolate", training_radius=0.05) for p in (64, 128)]
    searched = [
        r
        | {
            "trial_id": r["trial_id"][::-1],
            "config_json": json.dumps(json.loads(r["config_json"]) | {"frontier": "adversary"}),
            "stop_rule": "epochs",
            "training_radius": 0.1,
            "frontier_radius": 0.1,
            "frontier_radius_missed": 0.104,
            "frontier_trap": False,
            "frontier_trainings": 7,
            "radius_law": 0.9,
            "radius_law_32bit": 3.4,
        }
        for r in plain
    ]
    store = make_store(tmp_path / "store", [*plain, *searched])
    page = Page(render(read_evidence(store)))
    counts = {key: float(value) for key, value, _ in page.data}
    assert (counts["count:ok"], counts["count:plain"]) == (4, 2)
    prose = page.prose()
    assert "cannot tell: the law can bind in no cell" in prose
    ledger = {key: entry["value"] for key, entry in page.ledger().items()}
    assert ledger["frontier:sphere, ±1 target, pure noise:plain"] == pytest.approx(0.5)
