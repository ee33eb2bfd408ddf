"""Checkpoints of long trials: one safetensors file each, written between epochs, from which training goes on exactly.

checkpoint = TrialCheckpoint.at("folder/{}.safetensors", trial)
train(program, rows, configs, start=checkpoint.load(device), keep=checkpoint.save)
"""

import contextlib
import os
import time
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from harness.training.loop import Checkpoint, Evaluation
from harness.trial import IDENTITY_VERSION, Trial

PARTS = ("parameters", "buffers", "first_moments", "second_moments")
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
        parts = {part: getattr(state, part) for part in PARTS}
        tensors = {f"{part}/{name}": t.detach().clone().contiguous() for part, named in parts.items() for name, t in named.items()}
        tensors |= {f"generators/{g}": drawn for g, drawn in enumerate([state.dropout, *state.orders])}
        tensors |= {f"starts/{g}": drawn for g, drawn in enumerate(state.starts)}
        tensors |= {f"lags/{model}": torch.tensor(lag, dtype=torch.float64) for model, lag in state.lags.items()}
        temporary = self.path.with_name(f"_tmp-{self.path.name}-{os.getpid()}")
        with contextlib.suppress(OSError, SafetensorError):  # a full disk costs the checkpoint, not the trial
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
                parts: dict[str, dict[str, torch.Tensor]] = {part: {} for part in (*PARTS, "generators", "starts", "lags")}
                for key in f.keys():  # noqa: SIM118 - not a dict
                    part, _, name = key.partition("/")
                    parts[part][name] = f.get_tensor(key).to(device if part in PARTS else "cpu")
                if not parts["parameters"].keys() == parts["first_moments"].keys() == parts["second_moments"].keys():
                    return None
                dropout, *orders = [parts["generators"][str(g)] for g in range(len(parts["generators"]))]
                if not orders:
                    return None
                lags = {int(model): Evaluation(*lag.tolist()) for model, lag in parts["lags"].items()}
                starts = [parts["starts"][str(g)] for g in range(len(parts["starts"]))]
                named = {part: parts[part] for part in PARTS}
                return Checkpoint(int(said["epoch"]), orders=orders, dropout=dropout, lags=lags, starts=starts, **named)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return None
