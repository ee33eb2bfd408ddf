"""Return a claim's verdict on a store with given rows, and make rows of digits that several claims
read."""

from functools import cached_property
from typing import Any, cast

import pandas as pd

from reports.claims import CHECKED, Claim
from reports.evidence import read_evidence
from reports.law import Fits, fit_collapses, fit_kinds, fit_slopes
from tests.reports.stores import make_store, row


class FitsOnDemand:
    """The fits of a report, each made when a claim reads it. Most claims read none, and all of them
    take half a second."""

    def __init__(self, trials: pd.DataFrame):
        self.trials = trials

    @cached_property
    def filtered(self):
        return fit_slopes(self.trials)

    @cached_property
    def kinds(self):
        return fit_kinds(self.trials, self.filtered)

    @cached_property
    def collapses(self):
        return fit_collapses(self.trials)

    slopes = Fits.slopes
    slopes_of = Fits.slopes_of
    filtered_slopes = Fits.filtered_slopes


def verdict(tmp_path, rows: list[dict[str, Any]], key: str) -> Claim:
    """Return the claim with this key, checked on a store with these rows."""
    evidence = read_evidence(make_store(tmp_path / "store", rows))
    fits = cast(Fits, FitsOnDemand(evidence.trials))
    (claim,) = (claim for claim in CHECKED if claim.STATEMENT.key == key)
    return Claim(claim.STATEMENT, *claim.check(evidence, fits))


def digits(accuracies: dict[int, float], n: int = 4000):
    changes = {
        "task": "mnist",
        "family": "mnist-mlp",
        "outputs": 10,
        "sigma2": None,
        "bayes_error": 0.0,
        "epsilon": 0.0,
    }
    changes |= {"stop_rule": "interpolate", "stop_reason": "interpolated", "below_noise": False}
    return [row(p, n, 784, test_accuracy=a, **changes) for p, a in accuracies.items()]
