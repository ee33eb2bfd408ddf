"""A model's weights: those that a trial begins with, and the file of those that it ends with."""

import torch
from safetensors import torch as safetensors

from harness.process_state import own_process_state
from harness.task import BaseTask, Config, Seeds


@own_process_state()
def initialised(task: BaseTask, config: Config, seeds: Seeds) -> torch.nn.Module:
    """Return the task's model with the weights that the trial's `init` stream draws. The process's
    own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which also notes a traceback for CUDA at each call.
        torch.default_generator.manual_seed(seeds.stream("init"))
        return task.model(config)


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
