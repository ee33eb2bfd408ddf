"""What training and measuring cost on one machine: seconds that are linear in FLOPs, parameters,
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


class Calibration(NamedTuple):
    """Costs of one optimiser step, of a model alone and of a stack, for linear layers,
    convolutions and attention; and the cost of measuring."""

    alone: Cost
    stacked: Cost
    convolution_alone: Cost
    convolution_stacked: Cost
    attention_alone: Cost
    attention_stacked: Cost
    measuring: Cost
    slowdown: float
    """How much longer everything takes when every core is busy."""

    def training(self, kind: LayerKind, stacked: bool) -> Cost:
        """Return the cost of one optimiser step of models of this kind."""
        alone_and_stacked = {
            "linear": (self.alone, self.stacked),
            "convolution": (self.convolution_alone, self.convolution_stacked),
            "attention": (self.attention_alone, self.attention_stacked),
        }
        alone, together = alone_and_stacked[kind]
        return together if stacked else alone
