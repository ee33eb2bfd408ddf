"""What training and measuring cost on one device: seconds that are linear in FLOPs, parameters,
models and bytes.

    calibration.training(shape.kind, stacked=False).seconds(
        flops=1e6, numbers=1e4, models=1, saved_bytes=1e5
    )
"""

from typing import NamedTuple

from harness.planning.model_shape import LayerKind


class Cost(NamedTuple):
    """What one call costs, in seconds: `fixed` for the call itself, and an amount for each FLOP,
    each number (see `seconds`), each model and each byte of activations."""

    fixed: float
    per_flop: float
    per_number: float
    per_model: float
    per_byte: float = 0.0

    def seconds(self, flops: float, numbers: float, models: int, saved_bytes: float = 0.0) -> float:
        """Return the seconds of one call.

        `numbers`: parameters for a training step, input numbers for measuring. `saved_bytes`:
        bytes that autograd keeps.
        """
        work = (
            self.per_flop * flops
            + self.per_number * numbers
            + self.per_model * models
            + self.per_byte * saved_bytes
        )
        return self.fixed + work

    def times(self, factor: float) -> "Cost":
        """Return the cost of that many calls."""
        return Cost(*(factor * amount for amount in self))


class Calibration(NamedTuple):
    """Costs of one optimiser step, of a model alone and of a stack, for linear layers,
    convolutions and attention; the cost of measuring; and that of starting a stack."""

    alone: Cost
    stacked: Cost
    convolution_alone: Cost
    convolution_stacked: Cost
    attention_alone: Cost
    attention_stacked: Cost
    measuring: Cost
    """Of models with few outputs."""
    vocabulary: Cost
    """Of measuring models with an output for each word of a vocabulary; `numbers` are
    parameters."""
    starting: Cost
    """Of what a stack takes once: its program, and what its first epoch takes beyond a further
    one."""
    slowdown: float
    """How much longer everything takes with `processes` at work at a time."""
    processes: int = 2

    def training(self, kind: LayerKind, stacked: bool) -> Cost:
        """Return the cost of one optimiser step of models of this kind."""
        alone_and_stacked = {
            "linear": (self.alone, self.stacked),
            "convolution": (self.convolution_alone, self.convolution_stacked),
            "attention": (self.attention_alone, self.attention_stacked),
        }
        alone, together = alone_and_stacked[kind]
        return together if stacked else alone

    def slowdown_of(self, processes: int) -> float:
        """Return how much longer everything takes with as many processes at work on one device.

        Every process beyond the first is taken to add as much as each of those that were timed.
        """
        if processes < 2 or self.processes < 2:
            return 1.0
        added = (self.slowdown - 1) / (self.processes - 1)
        return 1 + added * (processes - 1)
