"""Checkpoints of long trials: one safetensors file per trial, written during training, from which
training resumes exactly.

    # the folder may be a bucket's: s3://bucket/rows/_checkpoints/{}.safetensors
    checkpoint = TrialCheckpoint.at("folder/{}.safetensors", trial)
    train(program, groups, configs, start=checkpoint.load(device), keep=checkpoint.save)
"""

import contextlib
import time
from collections.abc import Iterable
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from harness.errors import UserError
from harness.interruption import raise_if_told, told
from harness.store.disk import Disk
from harness.store.folder import Folder
from harness.store.location import beside
from harness.store.small_json import read_json
from harness.sweeps.trial import IDENTITY_VERSION, Trial
from harness.training.device_generator import generator_of
from harness.training.evaluation import Evaluation
from harness.training.recipe import has_second_moments
from harness.training.running_stack import Checkpoint

PARTS = ("parameters", "buffers", "first_moments", "second_moments")
EVERY_S = 30.0
"""Seconds between two checkpoints. A killed trial loses at most these and one epoch (a language
model: one step)."""

QUICK_S = 1.5
"""When writing takes longer than these seconds, checkpoints become rarer, so that they never take
more than a twentieth of the time."""

UNREADABLE = (OSError, UserError, SafetensorError, KeyError, ValueError, TypeError, AttributeError)
"""What reading a file raises that is missing, out of reach or torn, or that holds something
else."""

Parts = dict[str, dict[str, Tensor]]
"""Named tensors by the part of training that they belong to."""


class CheckpointFile:
    """The one file of tensors of a trial. It is replaced as a whole, and read only by the trial and
    the code that wrote it."""

    def __init__(self, folder: Folder, name: str, trial: Trial):
        self.folder = folder
        self.name = name
        # Training resumes exactly only with the same training code, torch and trial.
        self.made_by = {
            "trial_id": trial.trial_id,
            "identity_version": str(IDENTITY_VERSION),
            "torch": torch.__version__,
        }
        self.optimiser = trial.config.get("optimiser")
        self.written_at = time.monotonic()
        self.write_s = 0.0

    @classmethod
    def at(cls, pattern: str | None, trial: Trial) -> Self | None:
        """Return the trial's file; None where there is no pattern, or no folder on this machine.

        pattern: a path or a bucket's address, with {} in place of the trial's id. The driver makes
        the folder, on a disk that workers may not share.
        """
        if not pattern:
            return None
        folder, name = beside(pattern.format(trial.trial_id))
        if isinstance(folder, Disk) and not folder.there():
            return None
        return cls(folder, name, trial)

    @property
    def due(self) -> bool:
        """Return whether EVERY_S have passed since the last write, or longer where writing is slow;
        at once in a process that was told to end."""
        if told():
            return True
        interval = EVERY_S * max(1.0, self.write_s / QUICK_S)
        return time.monotonic() - self.written_at >= interval

    def write(self, parts: Parts, **numbers: int) -> None:
        """Replace the file by one that holds these tensors, and these numbers in its metadata.

        Raises Interrupted afterwards in a process that was told to end.
        """
        clock = time.monotonic()
        tensors = {
            f"{part}/{name}": tensor.detach().to("cpu", copy=True).contiguous()
            for part, named in parts.items()
            for name, tensor in named.items()
        }
        metadata = {**self.made_by, **{key: str(number) for key, number in numbers.items()}}
        content = save(tensors, metadata=metadata)

        if not isinstance(self.folder, Disk) or self.folder.there():
            with contextlib.suppress(UserError):  # a full disk costs the checkpoint, not the trial
                self.folder.put(self.name, content)
        self.written_at = time.monotonic()
        self.write_s = self.written_at - clock
        raise_if_told()

    def read(
        self, parts: Iterable[str], device: torch.device
    ) -> tuple[Parts, dict[str, str]] | None:
        """Return the tensors of these parts, and the metadata; None when other code or another
        trial wrote the file.

        The tensors of PARTS are on the device, all others on the CPU. Raises one of the exceptions
        in UNREADABLE when the file is missing or torn.
        """
        content = self.folder.get(self.name)
        # A safetensors file begins with the length of its header, 8 bytes, and the header as JSON.
        header = read_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__", {})
        if {key: metadata.get(key) for key in self.made_by} != self.made_by:
            return None

        by_part: Parts = {part: {} for part in parts}
        for key, tensor in load(content).items():
            part, _, name = key.partition("/")
            by_part[part][name] = tensor.to(device if part in PARTS else "cpu")

        names = by_part["parameters"].keys()
        with_second = names if has_second_moments(self.optimiser) else set()
        if by_part["first_moments"].keys() != names:
            return None
        if by_part["second_moments"].keys() != with_second:
            return None
        return by_part, metadata


class TrialCheckpoint(CheckpointFile):
    """A trial of labelled samples, between two epochs."""

    def save(self, state: Checkpoint) -> None:
        """Write the state, if a checkpoint is due."""
        if not self.due:
            return
        parts = {part: getattr(state, part) for part in PARTS}
        parts["generators"] = _numbered([state.dropout, *state.orders])
        parts["starts"] = _numbered(state.starts)
        parts["lags"] = {
            str(model): torch.tensor(lag, dtype=torch.float64) for model, lag in state.lags.items()
        }
        self.write(parts, epoch=state.epoch)

    def load(self, device: torch.device) -> Checkpoint | None:
        """Return the state that was saved last; None when there is none, when it is torn, or when
        other code or another kind of device wrote it."""
        try:
            content = self.read((*PARTS, "generators", "starts", "lags"), device)
            if not content:
                return None
            parts, metadata = content

            dropout, *orders = _in_order(parts["generators"])
            of_this_device = len(dropout) == len(generator_of(device).get_state())
            if not orders or not of_this_device:
                return None
            lags = {int(model): Evaluation(*lag.tolist()) for model, lag in parts["lags"].items()}
            named = {part: parts[part] for part in PARTS}
            return Checkpoint(
                int(metadata["epoch"]),
                orders=orders,
                dropout=dropout,
                lags=lags,
                starts=_in_order(parts["starts"]),
                **named,
            )
        except UNREADABLE:
            return None


def _numbered(tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    return {str(number): tensor for number, tensor in enumerate(tensors)}


def _in_order(numbered: dict[str, Tensor]) -> list[Tensor]:
    """Return the tensors that `_numbered` numbered. Raise KeyError when one is missing."""
    return [numbered[str(number)] for number in range(len(numbered))]
