"""The search for the most robust fit, against answers known beforehand.

A fit loses nothing within a radius only where balls of different labels do not meet. So r∞, found
by hand or by trying every set of points to give up, is what a wide model can just reach and no
model can pass.

Run alone: python -m pytest tests/training/test_frontier.py
"""

import functools
import itertools
import math

import pytest
import torch

from harness.measures.frontier_columns import frontier_columns
from harness.noise import Noise
from harness.task import Config, Data, Seeds
from harness.training.frontier import most_robust_fits
from tasks.models import mlp

pytestmark = pytest.mark.slow

COIN = Noise("additive_sign", None, 0.5, sigma2=1.0)
"""Pure ±1 noise: a quarter of the points may be lost."""


def points(x: torch.Tensor, y: list[float], noise: Noise = COIN) -> Data:
    labels = torch.tensor(y)
    return Data(x, labels, x.clone(), labels.clone(), noise)


def config(data: Data, **fields: object) -> Config:
    fixed = {"n": len(data.x_train), "batch_size": 4096, "max_epochs": 80, "lr": 0.01}
    return Config.model_validate({"frontier": "adversary", **fixed, **fields})


def searched(data: Data, width: int = 32, depth: int = 1, seed: int = 0, **fields: object) -> dict:
    """Return the columns of a search, with r* in the inputs' own numbers."""
    (columns,) = searched_together(data, [width], depth, seed, **fields)
    return columns


def searched_together(
    data: Data, widths: list[int], depth: int = 1, seed: int = 0, **fields: object
) -> list[dict]:
    """Return the columns of one search for each width, all in one stack."""
    of = config(data, **fields)
    models = []
    for width in widths:
        torch.manual_seed(seed)
        models.append(mlp(data.x_train.shape[1], width, depth, data.classes or 1))
    before = [{name: value.clone() for name, value in m.state_dict().items()} for m in models]

    count = len(models)
    frontiers = most_robust_fits(models, [data] * count, [of] * count, [Seeds(seed)] * count)
    for model, weights in zip(models, before, strict=True):
        for name, value in model.state_dict().items():
            assert value.equal(weights[name]), "the starting point was changed"
    return [
        frontier_columns(found, data, Seeds(seed), of.evaluated_together) for found in frontiers
    ]


def ceiling(data: Data, lost: int) -> float:
    """Return r∞ by trying every set of `lost` points to give up."""
    n = len(data.x_train)
    apart = torch.cdist(data.x_train.double(), data.x_train.double())
    differ = data.y_train[:, None] != data.y_train
    best = 0.0
    for given_up in itertools.combinations(range(n), lost):
        kept = [i for i in range(n) if i not in given_up]
        pairs = apart[kept][:, kept][differ[kept][:, kept]]
        best = max(best, float(pairs.min()) / 2 if len(pairs) else math.inf)
    return best


def test_two_points_meet_halfway():
    data = points(torch.tensor([[0.0, 0.0], [0.6, 0.8]]), [1.0, -1.0])
    found = searched(data)
    assert 0.95 * 0.5 <= found["frontier_radius_l2"] <= 0.5 * (1 + 1e-5)
    assert found["robust_below_noise"] and found["frontier_error"] == 0.0
    assert found["frontier_points"] == 2


def test_of_four_points_one_is_given_up():
    """Points 0, 1, 3, 6 with labels + − + −: without the one at 1, the nearest two are 3 apart."""
    data = points(torch.tensor([[0.0], [1.0], [3.0], [6.0]]), [1.0, -1.0, 1.0, -1.0])
    found = searched(data, max_epochs=120)
    assert 0.95 * 1.5 <= found["frontier_radius_l2"] <= 1.5 * (1 + 1e-5)
    assert found["frontier_error"] == 0.25


@pytest.mark.parametrize("seed", [0])
def test_on_a_line_the_search_reaches_what_trying_everything_finds(seed: int):
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(8, 1, generator=draw).sort(0).values
    data = points(x, [1.0, 1.0, -1.0, 1.0, -1.0, -1.0, -1.0, 1.0])
    best = min(ceiling(data, 2), data.unit())
    radius = searched(data, width=64, max_epochs=200)["frontier_radius_l2"]
    assert 0.85 * best <= radius <= best * (1 + 1e-5)


def test_no_width_passes_the_ceiling():
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(10, 6, generator=draw)
    data = points(x, (torch.randint(2, (10,), generator=draw) * 2.0 - 1).tolist())
    for found in searched_together(data, [1, 2, 8], max_epochs=30):
        assert 0 < found["frontier_radius_l2"] <= ceiling(data, 2) * (1 + 1e-5)


@functools.cache
def on_a_sphere() -> Data:
    draw = torch.Generator().manual_seed(1)
    x = torch.nn.functional.normalize(torch.randn(32, 8, generator=draw), dim=1)
    return points(x, (torch.randint(2, (32,), generator=draw) * 2.0 - 1).tolist())


@functools.cache
def narrow_and_wide() -> list[dict]:
    """Return what a narrow and a wide model of the same data reach."""
    return searched_together(on_a_sphere(), [2, 16])


def test_wider_models_fit_more_robustly():
    narrow, wide = narrow_and_wide()
    assert narrow["frontier_radius"] < wide["frontier_radius"]


def test_equal_labels_are_robust_up_to_the_cap():
    draw = torch.Generator().manual_seed(2)
    found = searched(points(torch.randn(16, 3, generator=draw), [1.0] * 16), max_epochs=30)
    assert found["frontier_radius"] == pytest.approx(1.0)
    assert found["frontier_trap"], "one answer for all points"


def test_duplicates_of_different_labels_beyond_the_budget_leave_no_radius():
    """Each of three pairs loses a point, and of eight points two may be lost."""
    x = torch.tensor([[0.0], [0.0], [1.0], [1.0], [2.0], [2.0], [5.0], [9.0]])
    found = searched(points(x, [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    assert found["frontier_radius"] == 0.0
    assert not found["robust_below_noise"] and found["frontier_error"] is None


def test_two_duplicates_spend_the_budget():
    x = [[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 2.0], [0.0, -2.0]]
    data = points(torch.tensor([*x, [1.0, -2.0]]), [1.0, -1.0, -1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
    best = ceiling(data, 2)
    assert best == 1.0
    # Losses pull both of a pair to the boundary, so the search stays below what is possible.
    assert 0 < searched(data, max_epochs=30)["frontier_radius_l2"] <= best * (1 + 1e-5)


def test_classes_are_told_apart():
    """Three classes in three corners of a triangle of side 2: their balls touch at radius 1."""
    x = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, math.sqrt(3)]])
    noise = Noise("label_resample", 0.3, 0.2)
    data = Data(x, torch.arange(3), x.clone(), torch.arange(3), noise, classes=3)
    assert 0.9 <= searched(data, max_epochs=120)["frontier_radius_l2"] <= 1 + 1e-5


def test_labels_without_noise_are_refused():
    data = points(torch.tensor([[0.0], [1.0]]), [1.0, -1.0], Noise("none", None, 0.0))
    with pytest.raises(ValueError, match="needs labels with injected noise"):
        searched(data)


def test_penalties_find_a_smaller_radius_that_holds():
    penalty = searched(on_a_sphere(), width=16, frontier="penalty")
    _, balls = narrow_and_wide()
    assert 0 < penalty["frontier_radius"] <= 1.02 * balls["frontier_radius"]
    assert penalty["frontier_way"] == "gradient penalty"
    assert penalty["frontier_radius_missed"] is None


@pytest.mark.parametrize(
    ("batch_size", "max_epochs"), [(4096, 30), (8, 12)], ids=["whole", "batches"]
)
def test_the_same_search_finds_the_same_alone_and_in_a_stack(batch_size: int, max_epochs: int):
    draw = torch.Generator().manual_seed(3)
    models, data, configs = [], [], []
    for width in (4, 6):
        x = torch.randn(24, 5, generator=draw)
        one = points(x, (torch.randint(2, (24,), generator=draw) * 2.0 - 1).tolist())
        torch.manual_seed(width)
        models.append(mlp(5, width, 1, 1))
        data.append(one)
        configs.append(config(one, max_epochs=max_epochs, batch_size=batch_size))
    seeds = [Seeds(0), Seeds(1)]
    together = most_robust_fits(models, data, configs, seeds)
    for i, found in enumerate(together):
        (alone,) = most_robust_fits([models[i]], [data[i]], [configs[i]], [seeds[i]])
        assert alone.best.way == found.best.way
        assert alone.best.radius == pytest.approx(found.best.radius, rel=0.05)
