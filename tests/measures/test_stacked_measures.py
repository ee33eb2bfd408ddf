"""Models measured as one program have the columns that they have alone.

Run alone: python -m pytest tests/measures/test_stacked_measures.py
"""

import math

import pytest
from torch.nn import functional as F

from harness.measures import columns as measured_columns
from harness.measures import measure
from harness.task import Data, Seeds
from harness.training.stack import Alone, stack
from tasks.models import MadryCNN
from tests.measures.agreement import alike
from tests.training.toy_models import (
    GROUPS,
    IMAGE,
    NETS,
    Build,
    D,
    Residual,
    ToyModels,
    configs,
    over,
)


def assert_measured_as_alone(lot: ToyModels, points: int, rel: float) -> None:
    samples = [lot.samples[i // lot.per_group] for i in range(len(lot.modules))]
    seeds = [Seeds(lot.kind[i // lot.per_group][0]) for i in range(len(lot.modules))]
    found = measure(stack(lot.modules, samples[0].x_train[:4]), samples, seeds, points)
    for stacked, module, sample, seed in zip(found, lot.copies(), samples, seeds, strict=True):
        (alone,) = measure(Alone(module), [sample], [seed], points)
        assert stacked.columns.keys() == alone.columns.keys()
        for name, value in alone.columns.items():
            assert alike(name, stacked.columns[name], value, points, rel), name


def on_the_sphere(sample: Data) -> Data:
    x, x_test = (F.normalize(v, dim=1) for v in (sample.x_train, sample.x_test))
    return Data(
        x, sample.y_train, x_test, sample.y_test, sample.noise, sample.classes, "unit-sphere"
    )


ONE = GROUPS["one data set"]
TWO = GROUPS["both"][1:]

MEASURED = {
    "scalar mlp, two groups": (NETS["mlp of depth 2"], 1, TWO),
    "mlp of classes, two groups": (NETS["mlp of depth 1"], 3, TWO),
    "residual, one data set": (Residual, 1, ONE),
}


@pytest.mark.slow
@pytest.mark.parametrize(("build", "outputs", "kind"), MEASURED.values(), ids=MEASURED.keys())
def test_stacked_models_measure_as_they_do_alone(
    build: Build, outputs: int, kind: list[tuple[int, float]]
):
    lot = ToyModels.of(build, (8, 3), kind, outputs)
    lot.trained(configs(lot, [20] * len(lot.modules)))
    assert_measured_as_alone(lot, points=32, rel=1e-4)


@pytest.mark.slow
def test_stacked_cnns_measure_as_they_do_alone():
    lot = ToyModels.of(MadryCNN, (2, 1), ONE, 1, n=20, shape=IMAGE)
    assert_measured_as_alone(lot, points=2, rel=1e-4)


SPHERES = {"all on it": (True, True), "the first on it": (True, False)}


@pytest.mark.slow
@over(SPHERES, "where")
def test_each_model_is_measured_on_its_own_manifold(where: tuple[bool, ...]):
    lot = ToyModels.of(NETS["mlp of depth 1"], (8,), GROUPS["data sets"], 1)
    lot = lot._replace(
        samples=[
            on_the_sphere(d) if on_it else d for d, on_it in zip(lot.samples, where, strict=True)
        ]
    )
    assert_measured_as_alone(lot, points=32, rel=1e-4)


@pytest.mark.slow
def test_models_with_fewer_points_measure_as_they_do_alone():
    lot = ToyModels.of(NETS["mlp of depth 1"], (3,), GROUPS["data sets"], 1)
    few = lot.samples[1]
    lot.samples[1] = Data(few.x_train, few.y_train, few.x_test[:10], few.y_test[:10], few.noise)
    assert_measured_as_alone(lot, points=32, rel=1e-4)


@pytest.mark.slow
def test_a_stack_measured_in_pieces_measures_the_same(monkeypatch: pytest.MonkeyPatch):
    """Four models, of which two fit into the limit."""
    of_two_models = 2 * 4 * 32 * D / measured_columns.FEWER_COORDINATES
    monkeypatch.setattr(measured_columns, "TOGETHER_BYTES", of_two_models)
    lot = ToyModels.of(NETS["mlp of depth 1"], (8, 3), TWO, 1)
    pieces = []
    at_points = measured_columns._at_points

    def noted(program, samples, *rest):
        pieces.append(len(samples))
        return at_points(program, samples, *rest)

    monkeypatch.setattr(measured_columns, "_at_points", noted)
    assert_measured_as_alone(lot, points=32, rel=1e-4)
    assert pieces == [2, 2, 1, 1, 1, 1]


def test_without_points_only_accuracy_is_measured():
    lot = ToyModels.of(NETS["mlp of depth 1"], (8, 3), ONE, 1)
    for columns, _ in measure(
        stack(lot.modules, lot.samples[0].x_train[:4]), lot.samples * 2, [Seeds(0)] * 2, 0
    ):
        assert (
            not any(
                name.startswith(("stability", "lip", "noise", "robust", "d_")) for name in columns
            )
            and "ece" in columns
        )
        assert math.isfinite(columns["test_loss"])
