"""√7 caps, whose training radius is known in R^d and along the sphere, and which hold no held-out
point.

Run alone: python -m pytest tests/measures/test_known_answers_caps.py
"""

import pytest

from harness.measures import measure
from harness.task import Seeds
from harness.training.stack import Alone
from tests.measures.caps import Caps, caps_around_random_points, caps_around_unit_vectors

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "known",
    [caps_around_unit_vectors(48), caps_around_random_points(60, 2486)],
    ids=["unit vectors", "random points"],
)
def test_the_training_radius_of_caps(known: Caps):
    points = len(known.data.x_train)
    (measured,) = measure(Alone(known.module), [known.data], [Seeds(0)], (8, points, 8))
    c = measured.columns
    assert c["training_radius_points"] == points
    assert c["training_radius_l2"] == pytest.approx(known.inwards, rel=1e-3)
    assert c["training_radius_chord"] == pytest.approx(known.chord, rel=0.01)
    assert c["training_radius_chord"] >= known.chord * (1 - 1e-5)

    assert c["stability_certified_mean"] <= c["stability_attack_mean"]
    assert c["stability_certified_violations"] == 0
