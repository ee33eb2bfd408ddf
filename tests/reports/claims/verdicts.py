"""Return a claim's verdict on a store with given rows, and make rows of digits that several claims
read."""

from typing import Any

from reports.claims import CHECKED, Claim
from reports.evidence import read_evidence
from tests.reports.fits_on_demand import fits_on_demand
from tests.reports.stores import make_store, row


def verdict(tmp_path, rows: list[dict[str, Any]], key: str) -> Claim:
    """Return the claim with this key, checked on a store with these rows."""
    evidence = read_evidence(make_store(tmp_path / "store", rows))
    fits = fits_on_demand(evidence.trials)
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
