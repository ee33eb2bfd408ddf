"""The ledger names every trial once, and gives each number's trials back.

Run alone: python -m pytest tests/reports/test_ledger.py
"""

import json

import pandas as pd

from reports.ledger import in_order, ledger
from reports.numbers import Number
from tests.reports.page_reader import Page

IDS = [f"{k:04x}" for k in range(1000)]


def test_a_numbers_trials_come_back():
    numbers = [
        Number("all", 1, "how", tuple(reversed(IDS))),
        Number("some", 2, "how", (IDS[3], IDS[4], IDS[5], IDS[900], IDS[7])),
        Number("again", 3, "how", (IDS[3], IDS[4], IDS[5], IDS[900], IDS[7])),
        Number("a failure", float("nan"), "how", ("gone", IDS[0])),
        Number("none", 4, "how"),
        Number("all", 1, "how", tuple(reversed(IDS))),
    ]
    kept = ledger(numbers, IDS)
    assert kept["sets"] == ["0-999", "3-5,7,900", "0,1000"]
    assert len(kept["numbers"]) == 5, "a key is listed once"

    text = json.dumps(kept)
    found = Page(f'<script type="application/json" id="ledger">{text}</script>').ledger()
    for number in numbers:
        assert sorted(found[number.key]["trials"]) == sorted(number.trials)
    assert found["a failure"]["value"] is None and found["some"]["value"] == 2


def test_the_order_is_that_of_kind_curve_size_and_seed():
    rows = [("b", "b 1", 1, 0), ("a", "a 2", 2, 1), ("a", "a 2", 2, 0), ("a", "a 1", 9, 0)]
    trials = pd.DataFrame(rows, columns=["kind", "curve", "p", "seed"])
    trials["trial_id"] = list("wxyz")
    assert "".join(in_order(trials)["trial_id"]) == "zyxw"
