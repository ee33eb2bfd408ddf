"""Points per instrument: one number stands for all, a mapping for each, and the forecast weighs
them.

Run alone: python -m pytest tests/sweeps/test_point_counts.py
"""

import pytest

from harness.sweeps.point_counts import PointCounts
from harness.sweeps.sweep import parse_sweep


def counts(limits: str) -> PointCounts:
    text = f"name: a\nseeds: [0]\n{limits}\ntasks: [{{task: sphere}}]\n"
    return parse_sweep(text, "a.yaml").limits.measure_points.counts


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("limits: {attempts: 1}", PointCounts()),
        ("limits: {measure_points: 64}", (64, 64, 64)),
        ("limits: {measure_points: 0}", (0, 0, 0)),
        (
            "limits: {measure_points: {stability: 1000, training_radius: 0, others: 16}}",
            (1000, 0, 16),
        ),
        (
            "limits: {measure_points: {training_radius: 9}}",
            PointCounts()._replace(training_radius=9),
        ),
    ],
)
def test_what_a_sweep_file_says(limits: str, expected: tuple[int, int, int]):
    assert counts(limits) == expected


@pytest.mark.parametrize("points", [0, 1, 128])
def test_one_number_is_as_dear_as_itself(points: int):
    assert PointCounts.of(points).as_dear_as == pytest.approx(points)


def test_every_instruments_points_cost():
    few = PointCounts(64, 64, 64)
    dearer = [few._replace(**{name: 128}).as_dear_as for name in PointCounts._fields]
    assert all(64 < cost < 128 for cost in dearer)
    assert sum(cost - 64 for cost in dearer) == pytest.approx(64)
