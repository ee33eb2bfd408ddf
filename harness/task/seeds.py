"""Independent random streams, all drawn from one trial seed."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import torch

Stream = Literal[
    "data",
    "noise",
    "init",
    "order",
    "dropout",
    "adversary",
    "verification",
    "measure",
    "training_points",
    "input_noise",
    "wander",
    "off_data",
    "corruption",
    "tokens",
    "table",
]


@dataclass(frozen=True)
class Seeds:
    """The random streams of one trial, from its data to its measures.

    A stream depends on the seed and its own name alone, so models of every size see the same data,
    noise and order, and a change in how one stream is used leaves the others as they were.
    """

    seed: int

    def stream(self, name: Stream) -> int:
        """Return a 63-bit seed for the named stream."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def generator(self, name: Stream) -> torch.Generator:
        """Return a CPU generator for the named stream."""
        return torch.Generator().manual_seed(self.stream(name))
