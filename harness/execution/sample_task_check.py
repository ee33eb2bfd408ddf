"""The checks of a task that fits labelled samples: its data, its model, and one optimiser step."""

import copy
import dataclasses
import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from harness.execution.global_generators import watched_generators
from harness.execution.limits import reset_peak_memory
from harness.execution.model_weights import initialised
from harness.execution.task_check import (
    CONFIGURATION,
    INPUT_SHAPE,
    META_DEVICE,
    SEED,
    Check,
    Doubtful,
    Finding,
    Tried,
    Wrong,
    cost_of,
    tried,
)
from harness.noise import Noise
from harness.store.data_note import shared_draws
from harness.sweeps.registry import TaskRef
from harness.sweeps.sweep_file import Limits
from harness.task import Data, Seeds, Task, check
from harness.training.adversary import adversary_of
from harness.training.alone import Alone
from harness.training.program import for_training
from harness.training.running_stack import RunningStack, StackGroup

FEW = 8
"""Samples that the output is looked at for."""


def checked_samples(ref: TaskRef) -> Iterator[Finding]:
    """Yield what each check finds of a task that fits labelled samples."""
    return tried(ref, CHECKS)


def _data(tried: Tried) -> str:
    with watched_generators() as touched:
        data = tried.task.data(tried.config, tried.seeds)
    if not isinstance(data, Data):
        raise Wrong(f"data() gave {type(data).__name__}; it must be harness.task.Data")

    for name in ("x_train", "x_test"):
        inputs = getattr(data, name)
        if not isinstance(inputs, Tensor):
            raise Wrong(f"data() gave {name} as {_kind_of(inputs)}; it must be a torch.Tensor")
        if inputs.dtype != torch.float32:
            raise Wrong(f"data() gave {name} as {inputs.dtype}; inputs must be torch.float32")
    for name in ("y_train", "y_test"):
        labels = getattr(data, name)
        if not isinstance(labels, Tensor):
            raise Wrong(
                f"data() gave {name} as {_kind_of(labels)}; it must be a torch.Tensor of ±1 as"
                " float32, or of classes as int64"
            )
    if not isinstance(data.noise, Noise):
        raise Wrong(
            f"data() gave noise as {_kind_of(data.noise)}; it must be harness.noise.Noise, as"
            " flip_labels and resample_labels return it"
        )
    assert tried.config is not None and tried.input_shape is not None
    try:
        check(data, tried.input_shape, tried.config.n)
    except ValueError as e:
        raise Wrong(str(e)) from None

    tried.data = data
    tried.shared_generators = touched
    labels = "±1 targets" if data.classes is None else f"{data.classes} classes"
    return f"{len(data.x_train):,} training and {len(data.x_test):,} held-out inputs; {labels}"


def _kind_of(value: object) -> str:
    """Return the full name of a value's class, such as numpy.ndarray."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _drawn_twice(tried: Tried) -> str:
    assert tried.data is not None
    if tried.shared_generators:
        raise Wrong(shared_draws(tried.shared_generators))

    again = tried.task.data(tried.config, tried.seeds)
    if again.content_hash() != tried.data.content_hash():
        raise Wrong(
            "data() gave other samples the second time, from the same seed; draw from"
            ' seeds.generator("data") and seeds.generator("noise") alone'
        )
    other = tried.task.data(tried.config, Seeds(SEED + 1))
    if other.content_hash() == tried.data.content_hash():
        raise Doubtful(
            f"seeds {SEED} and {SEED + 1} get the same samples with the same labels; draw at least"
            " the noise from the seed"
        )
    return "the same seed gives the same samples, another seed gives others"


def _labels(tried: Tried) -> str:
    assert tried.data is not None and tried.config is not None
    data = tried.data
    noise = data.noise
    present = torch.unique(data.y_train)
    if data.classes is not None and len(present) < data.classes:
        raise Doubtful(
            f"data() says {data.classes} classes, and the training labels hold {len(present)}"
        )
    if len(present) < 2:
        raise Doubtful(f"every training label is {float(present[0]):g}")

    if not noise.epsilon and tried.config.stop == "noise":
        raise Wrong(
            "no noise is injected into the labels, and the stop rule is 'noise'; inject some with"
            " harness.noise, or set stop to 'interpolate' or 'epochs'"
        )
    if not noise.epsilon:
        raise Doubtful(
            "no noise is injected into the labels; only fits below a known noise level say"
            " anything about the law"
        )
    level = f"R* = {noise.level:g}" if noise.sigma2 is None else f"σ² = {noise.level:g}"
    return f"{noise.kind} of a known level, {level}"


def _model(tried: Tried) -> str:
    assert tried.config is not None
    model = initialised(tried.task, tried.config, tried.seeds)
    if not isinstance(model, nn.Module):
        raise Wrong(f"model() gave {type(model).__name__}; it must be torch.nn.Module")
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise Wrong("model() gave a model without a parameter to train")
    kinds = {p.dtype for p in trained} - {torch.float32}
    if kinds:
        raise Wrong(f"model() gave parameters of {kinds.pop()}; they must be torch.float32")

    again = initialised(tried.task, tried.config, tried.seeds).state_dict()
    other = [name for name, t in model.state_dict().items() if not torch.equal(t, again[name])]
    if other:
        raise Wrong(
            f"the same seed gives other initial weights ('{other[0]}'); draw them from torch's own"
            " generator alone, which the engine seeds"
        )

    p = sum(parameter.numel() for parameter in trained)
    tried.model = model
    return f"{p:,} parameters to train; the same seed gives the same weights"


def _measured_inputs(tried: Tried, data: Data, model: nn.Module) -> Tensor:
    """Return the first inputs as the instruments give them to the model."""
    assert isinstance(tried.task, Task)
    return tried.task.as_measured(tried.config, model, data).x_train[:FEW]


def _output(tried: Tried) -> str:
    assert tried.data is not None and tried.model is not None
    x = _measured_inputs(tried, tried.data, tried.model)
    tried.model.eval()
    with torch.no_grad():
        output = tried.model(x)
    if not isinstance(output, Tensor):
        raise Wrong(f"the model gave {type(output).__name__}; it must be one tensor")

    expected = (len(x), tried.data.classes or 1)
    if tuple(output.shape) != expected:
        target = "a ±1 target" if tried.data.classes is None else f"{expected[1]} classes"
        raise Wrong(
            f"the model gave {tuple(output.shape)} for {len(x)} inputs; for {target} it must be"
            f" {expected}"
        )
    if not bool(output.isfinite().all()):
        raise Wrong("the untrained model gives NaN or infinite outputs")
    tried.output = expected
    return f"{expected} for {len(x)} inputs, all finite"


def _apart(tried: Tried) -> str:
    """Compare one input's output among others with that among copies of itself, in training mode
    and with the same draws of a dropout."""
    assert tried.data is not None and tried.model is not None
    x = _measured_inputs(tried, tried.data, tried.model)
    outputs = []
    for batch in (x, x[:1].expand_as(x)):
        model = copy.deepcopy(tried.model).train()
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(SEED)
            outputs.append(model(batch)[0])

    if not torch.allclose(*outputs, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise Wrong(
            "an input's output changes with the other inputs of its batch; samples must not"
            " influence each other, so use no batch norm"
        )
    return "an input's output does not depend on the other inputs of its batch"


def _step(tried: Tried) -> str:
    """Train two steps, of which the first is not timed: it loads what torch needs for it."""
    assert tried.data is not None and tried.model is not None and tried.config is not None
    config = tried.config
    samples = config.samples_per_step
    whole = tried.data
    several = whole.y_positions
    data = dataclasses.replace(
        whole,
        x_train=whole.x_train[:samples],
        y_train=whole.y_train[:samples],
        y_positions=None if several is None else several[:samples],
    )
    adversary = adversary_of(config)
    group = StackGroup.of(config, data, tried.seeds)
    stack = RunningStack(Alone(for_training(copy.deepcopy(tried.model))), [group], 1)

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        stack.epoch(samples, adversary)
        reset_peak_memory("cpu")
        clock = time.perf_counter()
        (second,) = stack.epoch(samples, adversary)
        seconds = time.perf_counter() - clock
    if not math.isfinite(second.loss):
        raise Wrong(f"the loss is {second.loss} after one step at learning rate {config.rate:g}")

    steps = config.max_epochs * config.steps_per_epoch
    cost = (
        f"{cost_of(seconds, f'{samples} samples')}, loss {second.loss:.3g}; a trial takes at most"
        f" {steps:,} of them"
    )
    limit = Limits().seconds_per_trial
    if seconds * steps > limit:
        raise Doubtful(
            f"{cost}, {seconds * steps:,.0f} s, and limits.seconds_per_trial is {limit:g} unless a"
            " sweep says otherwise"
        )
    return cost


CHECKS = (
    CONFIGURATION,
    INPUT_SHAPE,
    Check("data", ("config", "input_shape"), "in data()", _data),
    Check("data drawn twice", ("data",), "in data()", _drawn_twice),
    Check("labels", ("data",), "in data()", _labels),
    Check("model", ("config",), "in model()", _model),
    Check("output", ("data", "model"), "when its model is called", _output),
    META_DEVICE,
    Check("samples apart", ("data", "model", "output"), "when its model is called", _apart),
    Check("one step", ("data", "model", "output"), "in a training step", _step),
)
