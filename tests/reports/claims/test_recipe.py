"""C5: a published recipe, run again.

Run alone: python -m pytest tests/reports/claims/test_recipe.py
"""

import pytest

from reports.claims import NOT_TESTED
from tests.reports.claims.verdicts import verdict
from tests.reports.stores import row


def recipe(
    accuracy: float,
    seed: int = 0,
    batch_size: int = 5,
    adversary: str | None = None,
    p: int = 690_000,
    n: int = 60_000,
    **changes,
):
    settings = {"batch_size": batch_size, "adversary": adversary}
    whole = {
        "task": "mnist",
        "family": "mnist-cnn",
        "outputs": 10,
        "sigma2": None,
        "bayes_error": 0.0,
        "epsilon": 0.0,
        "epochs": 15,
    }

    whole |= {
        "stop_rule": "epochs",
        "stop_reason": "epoch_cap",
        "below_noise": False,
        "test_accuracy": accuracy,
        "test_accuracy_se": 0.001,
    }
    return row(p, n, 784, seed, settings=settings, **whole | changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([recipe(0.9925)], "supported"),
        ([recipe(0.9901), recipe(0.995, 1)], "supported"),  # within two standard errors
        ([recipe(0.9899), recipe(0.95, 1)], "contradicted"),
        ([recipe(0.9899), recipe(0.992, 1)], "undecided"),
        # it names no architecture
        (
            [recipe(0.98, family="mnist-mlp"), recipe(0.993, 1, family="mnist-cnn", p=630_000)],
            "supported",
        ),
        (
            [recipe(0.98, family="mnist-mlp"), recipe(0.97, 1, family="mnist-cnn", p=630_000)],
            "contradicted",
        ),
        ([recipe(0.98, p=760_000)], NOT_TESTED),
        ([recipe(0.98, p=756_000)], "contradicted"),  # 10 % more
        ([recipe(0.98, n=59_999)], NOT_TESTED),
        ([recipe(0.98, batch_size=64)], NOT_TESTED),
        ([recipe(0.98, epochs=14)], NOT_TESTED),
        ([recipe(0.98, epsilon=0.1)], NOT_TESTED),
        ([recipe(0.98, adversary="pgd")], NOT_TESTED),
    ],
)
def test_c5_asks_for_the_exact_recipe(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C5").verdict == expected
