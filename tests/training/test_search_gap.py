"""The search finds a fit whose radius is known: a narrow net has labelled points that keep their
distance from its boundary. `python -m tests.benchmarks.search_gap` measures the gap by size.

Run alone: python -m pytest tests/training/test_search_gap.py
"""

import numpy as np
import pytest

from tests.benchmarks.search_gap import planted, shares
from tests.measures.exact_distance import Net


@pytest.mark.parametrize(("width", "n"), [(2, 24), (4, 18)])
def test_the_planted_radius_is_one_that_a_net_of_the_size_has(width, n, monkeypatch):
    """Steps of r0 in random directions, from all points but the quarter that may be lost, change no
    answer of the teacher."""
    made = []
    monkeypatch.setattr(
        "tests.benchmarks.search_gap.Net", lambda *parts: made.append(Net(*parts)) or made[-1]
    )
    problem = planted(16, width, n, seed=3)
    x = problem.data.x_train.double().numpy()[: n - n // 4]
    y = problem.data.y_train.numpy()[: n - n // 4]
    teacher = next(net for net in made if (np.sign(net(x)[:, 0]) == y).all())
    assert problem.r0 > 0 and len(set(y)) == 2

    draw = np.random.default_rng(0)
    steps = draw.standard_normal((300, *x.shape))
    steps *= 0.999 * problem.r0 / np.linalg.norm(steps, axis=-1, keepdims=True)
    answers = np.sign(teacher((x + steps).reshape(-1, x.shape[1]))[:, 0]).reshape(300, -1)
    assert (answers == y).all()


@pytest.mark.slow
def test_the_search_reaches_a_known_radius():
    assert min(shares(16, 4, 18, seeds=1, epochs=200)) >= 0.8
