"""Bytes that a trial or a stack takes of its process and of a GPU, known before any tensor is
allocated."""

from collections.abc import Sequence

from harness.language import LanguageTask
from harness.measures.jacobian import FEW_OUTPUTS
from harness.planning.model_shape import Shape
from harness.planning.resolved import ResolvedTrial
from harness.sweeps.point_counts import PointCounts
from harness.training.frontier_plan import candidates_together

PROCESS_BYTES = 600_000_000
"""A worker with torch loaded and nothing to do, as seen resident on Linux."""

NUMBER_BYTES = 4
"""Of one float32."""

ADAM_COPIES = 4
"""Weights, gradients and Adam's two moments."""

DATA_COPIES = 3
"""Copies of a group's samples that a worker holds."""

GRADIENT_COPIES = 3
"""Copies of the gradients towards every rival that measuring holds."""

INPUT_COPIES = 5
"""An adversary's inputs, their gradients, the ball's two ends, and the next inputs."""

MEASURING_BYTES = 8_000_000_000
"""Bytes that the instruments' gradients may keep. A large model is measured on fewer points; its
row says on how many."""

MOST_POINTS = max(PointCounts())
"""Points of the instrument that has the most, where a sweep does not say."""

LEAST_POINTS = 4
"""Points that even the largest model is measured on."""


def alone_bytes(resolved: ResolvedTrial, gpus: float = 1.0) -> float:
    """Return the bytes that a trial alone takes beyond its process, on each of its GPUs: those of
    training, and those of measuring, with gradients towards every rival class.

    Over several GPUs the weights, gradients and moments are divided; activations kept for the
    backward pass are not.
    """
    shape = resolved.shape
    numbers = shape.numbers
    embedded = 0
    if isinstance(resolved.task, LanguageTask):  # measured on as many points as there is room
        points = points_within_memory(MOST_POINTS, shape)
    else:
        points = max(MOST_POINTS, resolved.config.evaluated_together)
        # More than a trained model reads where it embeds tokens itself.
        numbers = resolved.task.d_ambient(resolved.config)
        embedded = NUMBER_BYTES * (numbers - shape.numbers) * resolved.config.samples_in_memory

    activations = shape.saved_bytes_per_sample * points
    rivals = min(shape.outputs, FEW_OUTPUTS)
    gradients = NUMBER_BYTES * GRADIENT_COPIES * MOST_POINTS * rivals * numbers
    measuring = activations + gradients + embedded

    divisible = NUMBER_BYTES * ADAM_COPIES * (shape.p + shape.p_frozen)
    held_elsewhere = divisible * (1 - 1 / max(1.0, gpus))
    return stack_bytes([resolved], 1) + measuring - held_elsewhere


def points_within_memory(points: int, shape: Shape) -> int:
    """Return how many of `points` are measured so that activations stay within MEASURING_BYTES, at
    least LEAST_POINTS."""
    fitting = MEASURING_BYTES // max(1, shape.saved_bytes_per_sample)
    return min(points, max(LEAST_POINTS, fitting))


def stack_bytes(stack: Sequence[ResolvedTrial], groups: int) -> int:
    """Return the bytes that training and measuring a stack takes beyond its process: optimiser
    state, activations, and the samples of its `groups` of trials that share them."""
    config = stack[0].config
    shape = stack[0].shape

    largest = max(s.p + s.p_frozen for s in (r.shape for r in stack))
    optimizer = NUMBER_BYTES * ADAM_COPIES * largest * len(stack) * candidates_together(config)

    copies = candidates_together(config)
    trained_together = config.passed_together * len(stack) * copies
    evaluated_together = config.evaluated_together * len(stack) * copies // groups
    saved = max(r.shape.saved_bytes_per_sample for r in stack)
    activations = saved * max(trained_together, evaluated_together)

    perturbed = 0
    if config.adversary or config.frontier:
        perturbed = NUMBER_BYTES * INPUT_COPIES * trained_together * shape.numbers

    sample = NUMBER_BYTES * shape.numbers
    samples = sample * DATA_COPIES * groups * config.samples_in_memory
    # A search keeps every point's last offset, for each candidate.
    offsets = sample * config.n * len(stack) * copies if config.frontier else 0
    return optimizer + activations + perturbed + samples + offsets
