"""Checkpoints of long trials: one safetensors file each, written while training goes on, from which
it goes on exactly.

checkpoint = TrialCheckpoint.at("folder/{}.safetensors", trial)  # or
s3://bucket/rows/_checkpoints/{}.safetensors train(program, rows, configs,
start=checkpoint.load(device), keep=checkpoint.save)
"""

import contextlib
import json
import time
from collections.abc import Iterable
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from harness.errors import UserError
from harness.store.location import Disk, Folder, beside
from harness.sweeps.trial import IDENTITY_VERSION, Trial
from harness.training.evaluation import Evaluation
from harness.training.running_stack import Checkpoint

PARTS = ("parameters", "buffers", "first_moments", "second_moments")
EVERY_S = 30.0
"""Seconds between two checkpoints: a killed trial loses at most this, and one epoch (a language
model: one step)."""

QUICK_S = 1.5
"""Seconds of writing from which on checkpoints are kept rarer: they never take more than a
twentieth of the time."""

UNREADABLE = (OSError, UserError, SafetensorError, KeyError, ValueError, TypeError, AttributeError)
"""What reading a file raises that is not there, cannot be reached, is torn, or holds other
things than it should."""

Parts = dict[str, dict[str, Tensor]]
"""Named tensors by the part of training that they belong to."""


class CheckpointFile:
    """One trial's file of tensors: at most one, replaced whole, and read only by the code and
    the trial that wrote it."""

    def __init__(self, folder: Folder, name: str, trial: Trial):
        self.folder, self.name = folder, name
        # Exactly means: the same training code, the same torch, the same trial.
        self.made_by = {
            "trial_id": trial.trial_id,
            "identity_version": str(IDENTITY_VERSION),
            "torch": torch.__version__,
        }
        self.last, self.took = time.monotonic(), 0.0

    @classmethod
    def at(cls, pattern: str | None, trial: Trial) -> Self | None:
        """The trial's, for a path or a bucket's address with {} in place of its id; None where
        this machine does not see the folder, which the driver makes on a disk that workers may
        not share."""
        if not pattern:
            return None
        folder, name = beside(pattern.format(trial.trial_id))
        return None if isinstance(folder, Disk) and not folder.there() else cls(folder, name, trial)

    @property
    def due(self) -> bool:
        """Whether EVERY_S have passed since the last one, or longer where writing takes long."""
        return time.monotonic() - self.last >= EVERY_S * max(1.0, self.took / QUICK_S)

    def write(self, parts: Parts, **said: int) -> None:
        """Replace the file by one with these tensors and, in its metadata, these numbers."""
        clock = time.monotonic()
        tensors = {
            f"{part}/{name}": t.detach().to("cpu", copy=True).contiguous()
            for part, named in parts.items()
            for name, t in named.items()
        }
        content = save(
            tensors, metadata={**self.made_by, **{key: str(number) for key, number in said.items()}}
        )
        if not isinstance(self.folder, Disk) or self.folder.there():
            with contextlib.suppress(UserError):  # a full disk costs the checkpoint, not the trial
                self.folder.put(self.name, content)
        self.last = time.monotonic()
        self.took = self.last - clock

    def read(
        self, parts: Iterable[str], device: torch.device
    ) -> tuple[Parts, dict[str, str]] | None:
        """These parts, those of PARTS on the device, and the metadata; None when other code or
        another trial wrote the file.

        Raises one of UNREADABLE when there is none, or when it is torn.
        """
        content = self.folder.get(self.name)
        said = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get(
            "__metadata__", {}
        )
        if {key: said.get(key) for key in self.made_by} != self.made_by:
            return None
        found: Parts = {part: {} for part in parts}
        for key, tensor in load(content).items():
            part, _, name = key.partition("/")
            found[part][name] = tensor.to(device if part in PARTS else "cpu")
        if (
            not found["parameters"].keys()
            == found["first_moments"].keys()
            == found["second_moments"].keys()
        ):
            return None
        return found, said


class TrialCheckpoint(CheckpointFile):
    """A trial of labelled samples, between two epochs."""

    def save(self, state: Checkpoint) -> None:
        """Write, if it is due."""
        if not self.due:
            return
        parts = {part: getattr(state, part) for part in PARTS}
        parts["generators"] = {
            str(g): drawn for g, drawn in enumerate([state.dropout, *state.orders])
        }
        parts["starts"] = {str(g): drawn for g, drawn in enumerate(state.starts)}
        parts["lags"] = {
            str(model): torch.tensor(lag, dtype=torch.float64) for model, lag in state.lags.items()
        }
        self.write(parts, epoch=state.epoch)

    def load(self, device: torch.device) -> Checkpoint | None:
        """What was saved last; None when there is nothing, or when it is torn or was written by
        other code."""
        try:
            found = self.read((*PARTS, "generators", "starts", "lags"), device)
            if not found:
                return None
            parts, said = found
            dropout, *orders = [
                parts["generators"][str(g)] for g in range(len(parts["generators"]))
            ]
            if not orders:
                return None
            lags = {int(model): Evaluation(*lag.tolist()) for model, lag in parts["lags"].items()}
            starts = [parts["starts"][str(g)] for g in range(len(parts["starts"]))]
            named = {part: parts[part] for part in PARTS}
            return Checkpoint(
                int(said["epoch"]),
                orders=orders,
                dropout=dropout,
                lags=lags,
                starts=starts,
                **named,
            )
        except UNREADABLE:
            return None
