"""What a configuration's model is, counted on torch's meta device: a billion parameters allocate
none."""

import math
from functools import cache
from typing import NamedTuple

import torch

from harness.measures.counts import count_parameters, count_saved_bytes, count_training_flops
from harness.planning.config_memo import FieldTrackingCache
from harness.sweeps.registry import TaskRef, load
from harness.task import Config
from harness.training.adversary import count_pass_flops


class Shape(NamedTuple):
    """A model's and its input's sizes. Models of one `family` can be padded to one another's
    shapes and stacked."""

    p: int
    p_frozen: int
    input_shape: tuple[int, ...]
    outputs: int
    flops_per_sample: int
    """Forward and backward."""
    pass_flops_per_sample: int
    """Forward, and backward to the input: one pass of the adversary; 0 without one."""
    saved_bytes_per_sample: int
    """What autograd keeps between the two."""
    sizes: tuple[tuple[int, ...], ...]
    """Every parameter's shape."""
    family: str
    """Names and kinds of the model's modules and parameters."""

    def training_flops(self, config: Config) -> int:
        """FLOPs that one sample costs in one epoch: an adversary's passes, then forward and
        backward."""
        return self.flops_per_sample + config.adversary_passes * self.pass_flops_per_sample

    @property
    def numbers(self) -> int:
        """Numbers in one input."""
        return math.prod(self.input_shape)


def shape_of(ref: TaskRef, config: Config) -> Shape:
    """The shape of the model that the configuration asks for; computed once for all that agree in
    what the model reads.

    Raises whatever the task's model() or input_shape() raises.
    """
    return _memo(ref)(config)


@cache
def _memo(ref: TaskRef) -> FieldTrackingCache[Shape]:
    task = load(ref)

    def shape(config: Config) -> Shape:
        with torch.device("meta"):
            model = task.model(config)
            input_shape = tuple(task.input_shape(config))
            outputs = model(torch.zeros(1, *input_shape, dtype=task.input_dtype)).shape[-1]
        counts = count_parameters(model)
        return Shape(
            p=counts.trainable,
            p_frozen=counts.frozen,
            input_shape=input_shape,
            outputs=outputs,
            flops_per_sample=count_training_flops(model, input_shape, task.input_dtype),
            pass_flops_per_sample=count_pass_flops(model, input_shape) if config.adversary else 0,
            saved_bytes_per_sample=count_saved_bytes(model, input_shape, task.input_dtype),
            sizes=tuple(tuple(p.shape) for p in model.parameters()),
            family=" ".join(
                [f"{name}:{type(module).__name__}" for name, module in model.named_modules()]
                + [f"{name}:{p.requires_grad}" for name, p in model.named_parameters()]
            ),
        )

    return FieldTrackingCache(shape)
