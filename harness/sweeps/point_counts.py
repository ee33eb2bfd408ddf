"""How many points each instrument is measured on."""

from typing import NamedTuple

from harness.sweeps.trial import MEASURE_POINTS

STABILITY_SHARE = 0.33
"""Part of the seconds of measuring that goes into the search of stability, where all instruments
have the same number of points: the mean of .46 (sphere), .28 (MNIST MLP), .41 (CNN) and .15 (GPT),
by `python -m tests.benchmarks.measuring_cost`."""

TRAINING_RADIUS_SHARE = 0.37
"""The same part of the training radius: the mean of .39, .21, .41 and .47."""


class PointCounts(NamedTuple):
    """Points of each instrument, where a sweep does not say. (0, 0, 0): only accuracy and loss are
    measured."""

    stability: int = 512
    """Held-out points of S. Rule: the standard error over points must not exceed the spread over
    seeds. On gpt-law-noise's example store the spread of log S over seeds is .050 and the standard
    error at 64 points .133, which makes 449 points; mnist-law-60k needs 70 (LOG.md). Spheres need
    837, so sphere-law names 1 000 (`python -m tests.benchmarks.points_needed`)."""
    training_radius: int = 256
    """Training points of the training radius. By the same rule spheres need 62, MNIST 100 and GPTs
    195."""
    others: int = MEASURE_POINTS
    """Held-out points of every other instrument, the first of those of S."""

    @classmethod
    def of(cls, points: "int | tuple[int, int, int]") -> "PointCounts":
        """Return the counts that one number stands for, or three in this order."""
        return cls(points, points, points) if isinstance(points, int) else cls(*points)

    @property
    def plain(self) -> tuple[int, int, int]:
        """The numbers as they travel to workers, which may load this class from another place."""
        return self.stability, self.training_radius, self.others

    @property
    def as_dear_as(self) -> int:
        """Return the number of points for all instruments alike that costs as much."""
        weights = (
            STABILITY_SHARE,
            TRAINING_RADIUS_SHARE,
            1 - STABILITY_SHARE - TRAINING_RADIUS_SHARE,
        )
        return round(sum(weight * count for weight, count in zip(weights, self, strict=True)))
