"""How many epochs a trial will run before its stop rule is met: a rough power law, for planning and
for nothing else.

Optimiser steps to the stop rule, over the 1 091 trials of the shipped sweeps' first runs that met
it, follow a·n^b·(p/(n·K))^c within a factor of 1.6 (one standard deviation), K outputs, for MLPs on
the sphere and on MNIST alike. GPTs below the noise of a vocabulary follow the same form with
exponents of their own, within 1.4 over the 50 trials of gpt-law's first run. Models too small for
their data never meet the rule and run to their cap. Adversarially trained models are assumed to run
to their cap too: there are no figures for them. All optimisers are planned as Adam.
"""

from typing import NamedTuple

from harness.measures.jacobian import FEW_OUTPUTS
from harness.planning.model_shape import Shape
from harness.task import Config
from harness.training.frontier_plan import expected_effort


class _Steps(NamedTuple):
    """Coefficients of a·n^b·(p/(n·K))^c, in optimiser steps."""

    a: float
    b: float
    c: float


MEASURED = {
    "noise": _Steps(7.2, 0.75, -0.46),
    "interpolate": _Steps(38.0, 0.57, -0.40),
}

MEASURED_ON_VOCABULARIES = {
    "noise": _Steps(4.3, 0.77, -0.21),
    "interpolate": _Steps(39.0, 0.46, -0.42),
}

SMALLEST_OF_VOCABULARY = 4.0
"""Parameters per sample below which GPTs ran to their cap."""

SMALLEST = {"noise": 0.5, "interpolate": 1.5}
"""Parameters per sample, and for `noise` per output, below which nearly every trial ran to its
cap."""


def expected_epochs(config: Config, shape: Shape) -> float:
    """Return the passes over the training set until the stop rule is met, at most the cap; for a
    search of the frontier those of all its trainings together."""
    if config.frontier:
        return expected_effort(config).of_all_models
    cap = float(config.max_epochs)
    if config.stop == "epochs" or config.adversary:
        return cap

    per_sample = shape.p / config.n
    per_output = shape.p / (config.n * shape.outputs)
    if shape.outputs > FEW_OUTPUTS:
        too_small = per_sample < SMALLEST_OF_VOCABULARY
        steps = MEASURED_ON_VOCABULARIES[config.stop]
    else:
        parameters = per_output if config.stop == "noise" else per_sample
        too_small = parameters < SMALLEST[config.stop]
        steps = MEASURED[config.stop]
    if too_small:
        return cap

    epochs = steps.a * config.n**steps.b * per_output**steps.c / config.steps_per_epoch
    return min(cap, max(1.0, epochs))
