"""Bytes that a trial and a stack take of their process and of a GPU, known before anything is
built."""

from collections.abc import Iterable

from harness.language import LanguageTask
from harness.measures.jacobian import FEW_OUTPUTS
from harness.planning.model_shape import Shape
from harness.sweeps.registry import load
from harness.sweeps.trial import MEASURE_POINTS, Trial
from harness.task import Config

PROCESS_BYTES = 600_000_000
"""A worker with torch loaded and nothing to do, as seen resident on Linux."""

ADAM_COPIES = 4
"""Weights, gradients and Adam's two moments."""

INPUT_COPIES = 5
"""An adversary's inputs, their gradients, the ball's two ends, and the next inputs."""

MEASURING_BYTES, LEAST_POINTS = 8_000_000_000, 4
"""What the instruments' gradients may keep: of a large model fewer points are measured (the row
says how many), at least so many."""


def alone_bytes(trial: Trial, config: Config, shape: Shape, gpus: float = 1.0) -> float:
    """What a trial alone takes beyond its process, of each of its GPUs: training, and measuring
    with its gradients towards every rival.

    Over several GPUs weights, gradients and moments are divided; what is kept for the backward pass
    is not.
    """
    points = max(MEASURE_POINTS, config.evaluated_together)
    if isinstance(load(trial.ref), LanguageTask):
        points = min(
            MEASURE_POINTS,
            max(LEAST_POINTS, MEASURING_BYTES // max(1, shape.saved_bytes_per_sample)),
        )
    measuring = (
        shape.saved_bytes_per_sample * points
        + 12 * MEASURE_POINTS * min(shape.outputs, FEW_OUTPUTS) * shape.numbers
    )
    divided = 4 * ADAM_COPIES * (shape.p + shape.p_frozen)
    return stack_bytes([(config, shape)], 1) + measuring - divided * (1 - 1 / max(1.0, gpus))


def stack_bytes(members: Iterable[tuple[Config, Shape]], rows: int) -> int:
    """What training and measuring a stack takes beyond its process: optimiser state,
    activations, each row's data thrice."""
    members = list(members)
    config, shape = members[0]
    parameters = max(s.p + s.p_frozen for _, s in members) * len(members)
    training = config.passed_together * len(members)
    evaluating = config.evaluated_together * len(members) // rows
    activations = max(s.saved_bytes_per_sample for _, s in members) * max(training, evaluating)
    moved = 4 * INPUT_COPIES * training * shape.numbers if config.adversary else 0
    return (
        4 * ADAM_COPIES * parameters
        + activations
        + moved
        + 12 * rows * config.samples_in_memory * shape.numbers
    )
