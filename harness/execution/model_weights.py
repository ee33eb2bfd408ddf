"""A model's weights: those that a trial begins with, and the file of those that it ends with."""

import hashlib
from typing import NamedTuple

import torch
from safetensors import torch as safetensors

from harness.process_state import own_process_state
from harness.store.location import read_kept
from harness.task import BaseTask, Config, Seeds


@own_process_state()
def initialised(task: BaseTask, config: Config, seeds: Seeds) -> torch.nn.Module:
    """Return the task's model with the weights that the trial's `init` stream draws, times
    `init_scale`. The process's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which also notes a traceback for CUDA at each call.
        torch.default_generator.manual_seed(seeds.stream("init"))
        model = task.model(config)
    if config.init_scale:
        _scale(model, config.init_scale)
    return model


@torch.no_grad()
def _scale(model: torch.nn.Module, factor: float) -> None:
    """Multiply all trainable weights and biases but those of norms, which undo a scale. Tied ones
    are multiplied once."""
    norms = [module for module in model.modules() if "Norm" in type(module).__name__]
    of_norms = {id(p) for norm in norms for p in norm.parameters(recurse=False)}
    for p in model.parameters():
        if p.requires_grad and id(p) not in of_norms:
            p.mul_(factor)


def weights_file(model: torch.nn.Module, limit: int) -> bytes | None:
    """Return the model's weights as a safetensors file; None when they take more than `limit`
    bytes."""
    state = model.state_dict()
    if sum(t.numel() * t.element_size() for t in state.values()) > limit:
        return None

    # safetensors refuses tied weights, which share memory: each name gets a copy of its own.
    return safetensors.save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    )


class KeptWeights(NamedTuple):
    """Weights as a store keeps them."""

    tensors: dict[str, torch.Tensor]

    sha256: str
    """Of the file, which the driver compares with the one in the trial's row."""


def kept_weights(trained: str, trial_id: str) -> KeptWeights:
    """Return a trial's final weights, given where they lie with {} for the trial's id.

    Raises FileNotFoundError when there are none, and SafetensorError when the file is torn.
    """
    content = read_kept(trained, trial_id)
    return KeptWeights(safetensors.load(content), hashlib.sha256(content).hexdigest())
