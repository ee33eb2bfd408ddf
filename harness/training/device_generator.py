"""The generator of random numbers that modules draw from in training, as dropout does."""

import torch


def generator_of(device: torch.device) -> torch.Generator:
    """Return a device's own generator."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator
