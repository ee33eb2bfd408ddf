"""How many epochs a trial will run before its stop rule is met: a rough power law, for planning and for nothing else.

Optimiser steps to the stop rule, over the 1 091 trials of the shipped sweeps' first runs that met it, follow
a·n^b·(p/(n·K))^c within a factor of 1.6 (one standard deviation), K outputs, for MLPs on the sphere and on MNIST
alike. Models too small for their data never meet it and run to their cap; of adversarially trained ones the same is
assumed, for want of figures.
"""

from typing import NamedTuple

from harness.shape import Shape
from harness.task import Config


class _Steps(NamedTuple):
    a: float
    b: float
    c: float


MEASURED = {"noise": _Steps(7.2, 0.75, -0.46), "interpolate": _Steps(38.0, 0.57, -0.40)}

SMALLEST = {"noise": 0.5, "interpolate": 1.5}
"""Parameters per sample, and for `noise` per output, below which nearly every trial ran to its cap."""


def expected_epochs(config: Config, shape: Shape) -> float:
    """Passes over the training set until the stop rule is met, at most the cap."""
    if config.stop == "epochs" or config.adversary:
        return float(config.max_epochs)
    per_output = shape.p / (config.n * shape.outputs)
    if (per_output if config.stop == "noise" else shape.p / config.n) < SMALLEST[config.stop]:
        return float(config.max_epochs)
    a, b, c = MEASURED[config.stop]
    return min(float(config.max_epochs), max(1.0, a * config.n**b * per_output**c / config.steps_per_epoch))
