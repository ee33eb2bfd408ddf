"""Return a claim's verdict on a store with given rows, and make rows of digits that several claims
read."""

from reports.claims import check_claims
from reports.evidence import read_evidence
from reports.law import fit_all
from tests.reports.stores import make_store, row


def verdict(tmp_path, rows, key):
    evidence = read_evidence(make_store(tmp_path / "store", rows))
    claims = check_claims(evidence, fit_all(evidence.trials))
    keys = ["C1", "C2a", "C2b", *(f"C{i}" for i in range(3, 12))]
    assert [c.statement.key for c in claims] == keys
    return next(c for c in claims if c.statement.key == key)


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
