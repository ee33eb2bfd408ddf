"""Checkpoints of long trials: one safetensors file each, written between epochs, from which training goes on exactly.

checkpoint = Checkpoints.within(folder).of(trial)
train(program, rows, configs, start=checkpoint.load(device), keep=checkpoint.save)
"""

import os
import time
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from harness.training.loop import Checkpoint
from harness.trial import IDENTITY_VERSION, Trial

EVERY_S = 30.0
"""Seconds between two checkpoints: a killed trial loses at most this, and one epoch."""


class TrialCheckpoint:
    """One trial's checkpoint: at most one file, replaced whole."""

    def __init__(self, path: Path, trial: Trial):
        self.path = path
        # Exactly means: the same training code, the same torch, the same trial.
        self.made_by = {"trial_id": trial.trial_id, "identity_version": str(IDENTITY_VERSION), "torch": torch.__version__}
        self.last = time.monotonic()

    @classmethod
    def at(cls, pattern: str | None, trial: Trial) -> "TrialCheckpoint | None":
        """The trial's, for a path with {} in place of its id; None where this machine does not see the folder, which
        the driver makes on a disk that workers may not share."""
        path = Path(pattern.format(trial.trial_id)) if pattern else None
        return cls(path, trial) if path and path.parent.is_dir() else None

    def save(self, state: Checkpoint) -> None:
        """Write, if EVERY_S have passed since the last one."""
        if time.monotonic() - self.last < EVERY_S:
            return
        parts = {"parameters": state.parameters, "first_moments": state.first_moments, "second_moments": state.second_moments}
        tensors = {f"{part}/{name}": t.detach().contiguous() for part, named in parts.items() for name, t in named.items()}
        tensors |= {f"orders/{g}": order for g, order in enumerate(state.orders)}
        temporary = self.path.with_name(f"_tmp-{self.path.name}-{os.getpid()}")
        save_file(tensors, temporary, metadata={**self.made_by, "epoch": str(state.epoch)})
        os.replace(temporary, self.path)
        self.last = time.monotonic()

    def load(self, device: torch.device) -> Checkpoint | None:
        """What was saved last; None when there is nothing, or when it is torn or was written by other code."""
        try:
            with safe_open(self.path, framework="pt") as f:
                said = f.metadata() or {}
                if {key: said.get(key) for key in self.made_by} != self.made_by:
                    return None
                parts: dict[str, dict[str, torch.Tensor]] = {}
                for key in f.keys():  # noqa: SIM118 - not a dict
                    part, _, name = key.partition("/")
                    parts.setdefault(part, {})[name] = f.get_tensor(key) if part == "orders" else f.get_tensor(key).to(device)
                orders = [parts["orders"][str(g)] for g in range(len(parts["orders"]))]
                return Checkpoint(int(said["epoch"]), parts["parameters"], parts["first_moments"], parts["second_moments"], orders)
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
