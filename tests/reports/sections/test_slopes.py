"""The rows of the forest beside the answer have short labels that tell them apart.

Run alone: python -m pytest tests/reports/sections/test_slopes.py
"""

import pytest

from reports.sections.slopes import short_labels


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["sphere, ±1 target, pure noise"], ["Random data"]),
        (
            ["sphere, ±1 target, pure noise", "sphere, ±1 target, pure noise, interpolated"],
            ["Random data", "Random data, interpolated"],
        ),
        (
            ["mnist-mlp, 10 classes, 30 % resampled", "mnist-mlp, ±1 target, 20 % flipped"],
            ["MNIST, 10 classes", "MNIST, ±1 target"],
        ),
        (
            ["mnist-mlp, 10 classes, a", "mnist-mlp, 10 classes, b", "mnist-mlp, ±1 target, a"],
            ["MNIST, 10 classes, a", "MNIST, 10 classes, b", "MNIST, ±1 target, a"],
        ),
        (["abalone, ±1 target"], ["abalone"]),
    ],
)
def test_labels_are_short_and_distinct(kinds, expected):
    families = [kind.split(", ")[0] for kind in kinds]
    assert list(short_labels(kinds, families).values()) == expected
