"""The generator of random numbers that modules draw from in training, as dropout does."""

import contextlib
from collections.abc import Iterator

import torch


def generator_of(device: torch.device) -> torch.Generator:
    """Return a device's own generator."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


@contextlib.contextmanager
def drawn_from(seed: int, device: torch.device) -> Iterator[None]:
    """Let modules on the device draw from this seed, and leave the generators as they were."""
    on_gpu = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=on_gpu):
        generator_of(device).manual_seed(seed)
        yield
