"""What trials are timed and planned on: a share of the processor, or a GPU."""

import re
from typing import Literal, NamedTuple

import torch

from harness.planning.cores import cores_here
from harness.store import provenance


class Device(NamedTuple):
    """A kind of device, and the processor threads that a trial on it has."""

    kind: Literal["cpu", "cuda"]
    name: str
    """As the processor or the GPU calls itself."""
    threads: int

    @property
    def slug(self) -> str:
        """Return device and threads in the letters of a file name."""
        name = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:40]
        return f"{name or self.kind}-{self.threads}-thread{'' if self.threads == 1 else 's'}"

    @property
    def in_words(self) -> str:
        """Return what a message calls the device."""
        return "this machine," if self.kind == "cpu" else f"this machine's {self.name},"

    @property
    def torch_device(self) -> torch.device:
        """Return the device that tensors lie on."""
        return torch.device(self.kind)


def processor(threads: int) -> Device:
    """Return this machine's processor, of which each trial has that many threads; all its cores
    where it has fewer."""
    return Device("cpu", provenance.of_worker("cpu")["cpu"] or "cpu", min(threads, cores_here()))


def gpu_here(threads: int) -> Device | None:
    """Return this machine's first GPU; None where torch sees none."""
    if not torch.cuda.is_available():
        return None
    return Device("cuda", torch.cuda.get_device_name(0), min(threads, cores_here()))


def gpus_here() -> int:
    """Return how many GPUs torch sees on this machine."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
