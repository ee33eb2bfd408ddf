"""How many epochs a trial will run before its stop rule is met: a rough power law, for planning and
for nothing else.

Optimiser steps to the stop rule, over the 1 091 trials of the shipped sweeps' first runs that met
it, follow a·n^b·(p/(n·K))^c within a factor of 1.6 (one standard deviation), K outputs, for MLPs on
the sphere and on MNIST alike. GPTs on a vocabulary follow the same form with exponents of their own
and with two more factors, of the learning rate and of the numbers of an input: within 1.45 (noise)
and 1.2 (interpolate) over 186 trials of two versions of gpt-law. Models too small for their data
never meet the rule and run to their cap. Adversarially trained models are assumed to run
to their cap too: there are no figures for them. All optimisers are planned as Adam.
"""

from typing import NamedTuple

from harness.measures.jacobian import FEW_OUTPUTS
from harness.planning.model_shape import Shape
from harness.task import Config
from harness.training.frontier_plan import expected_effort


class _Steps(NamedTuple):
    """Coefficients of a·n^b·(p/(n·K))^c·rate^d·(numbers of an input)^e, in optimiser steps."""

    a: float
    b: float
    c: float
    d: float = 0.0
    e: float = 0.0


MEASURED = {
    "noise": _Steps(7.2, 0.75, -0.46),
    "interpolate": _Steps(38.0, 0.57, -0.40),
}

MEASURED_ON_VOCABULARIES = {
    "noise": _Steps(6.6, 0.69, -0.29, -0.12, -0.18),
    "interpolate": _Steps(15.0, 0.35, -0.43, -0.35, -0.18),
}

SMALLEST_OF_VOCABULARY = 5.0
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

    expected = (
        steps.a
        * config.n**steps.b
        * per_output**steps.c
        * config.rate**steps.d
        * shape.numbers**steps.e
    )
    return min(cap, max(1.0, expected / config.steps_per_epoch))
