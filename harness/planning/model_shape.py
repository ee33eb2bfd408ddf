"""The size of a configuration's model, counted on torch's meta device, where a billion parameters
allocate no memory."""

import math
from functools import cache
from typing import Literal, NamedTuple

import torch
from torch import nn

from harness.measures.counted_pass import count_pass
from harness.measures.counts import count_parameters
from harness.planning.field_tracking_cache import FieldTrackingCache
from harness.process_state import own_process_state
from harness.sweeps.registry import TaskRef, load
from harness.task import BaseTask, Config
from harness.training.adversary import count_pass_flops
from harness.training.program import for_training

LayerKind = Literal["linear", "convolution", "attention"]


class Shape(NamedTuple):
    """The sizes of a model and of its input. Models of one `family` can be stacked, those
    of several shapes where they can be padded."""

    p: int
    p_frozen: int
    input_shape: tuple[int, ...]
    outputs: int
    flops_per_sample: int
    """Forward and backward."""
    pass_flops_per_sample: int
    """Forward, and backward to the input: one pass of the adversary; 0 without an adversary."""
    saved_bytes_per_sample: int
    """Bytes that autograd keeps between forward and backward."""
    sizes: tuple[tuple[int, ...], ...]
    """Every parameter's shape."""
    family: str
    """Names and classes of the model's modules; names of its parameters and whether they train."""
    kind: LayerKind
    """The kind of layer that decides the speed of a training step."""
    pads: bool = True
    """Whether the model can be padded with units of zeros: no norm or attention takes a mean over
    its units, or a scale from their number. What else pads is found out when a stack is made."""

    def training_flops(self, config: Config) -> int:
        """Return the FLOPs that one sample costs in one epoch: the adversary's passes, then forward
        and backward."""
        return self.flops_per_sample + config.adversary_passes * self.pass_flops_per_sample

    @property
    def numbers(self) -> int:
        """Numbers in one input."""
        return math.prod(self.input_shape)


def shape_of(ref: TaskRef, config: Config) -> Shape:
    """Return the shape of the configuration's model.

    Computed once for all configurations that agree in the fields that the model reads. Raises
    whatever the task's model() or input_shape() raises.
    """
    return _cached_shape(ref)(config)


@cache
def _cached_shape(ref: TaskRef) -> FieldTrackingCache[Shape]:
    task = load(ref)
    return FieldTrackingCache(lambda config: _count(task, config))


@own_process_state()
def _count(task: BaseTask, config: Config) -> Shape:
    """Build the model on the meta device and count."""
    with torch.device("meta"):
        model = task.model(config)
        input_shape = tuple(task.input_shape(config))

    trained = for_training(model)
    costs = count_pass(trained, input_shape, task.input_dtype)
    is_moved = bool(config.adversary or config.frontier)
    moved_flops = count_pass_flops(trained, input_shape) if is_moved else 0
    parameters = count_parameters(model)
    return Shape(
        p=parameters.trainable,
        p_frozen=parameters.frozen,
        input_shape=input_shape,
        outputs=costs.outputs,
        flops_per_sample=costs.flops,
        pass_flops_per_sample=moved_flops,
        saved_bytes_per_sample=costs.saved_bytes,
        sizes=tuple(tuple(p.shape) for p in model.parameters()),
        family=_family(model),
        kind=_kind(model),
        pads=not any(word in name for name in _classes(model) for word in ("Norm", "Attention")),
    )


def _family(model: nn.Module) -> str:
    modules = [f"{name}:{type(module).__name__}" for name, module in model.named_modules()]
    parameters = [f"{name}:{p.requires_grad}" for name, p in model.named_parameters()]
    return " ".join(modules + parameters)


def _kind(model: nn.Module) -> LayerKind:
    classes = _classes(model)
    if any("Attention" in name for name in classes):
        return "attention"
    if any("Conv2d" in name for name in classes):
        return "convolution"
    return "linear"


def _classes(model: nn.Module) -> list[str]:
    return [type(module).__name__ for module in model.modules()]
