"""The checkpoint of a language model in training: its state between two steps, and the file that
keeps it."""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.training.checkpoint import PARTS, UNREADABLE, CheckpointFile


class LanguageState(NamedTuple):
    """The state of training between two steps, complete except for the order of windows, which its
    generator reproduces. Tensors go by the name of their parameter or buffer. Of several processes,
    the first holds the state, on the CPU."""

    step: int
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    first_moments: dict[str, Tensor]
    second_moments: dict[str, Tensor]
    losses: Tensor
    """(step,) float32: mean loss of each step so far, nats per token."""
    wrong: Tensor
    """() int64: tokens predicted wrongly so far, in the steps that LanguageFit.error covers."""
    dropout: Tensor
    """State of the device's own generator, from which modules draw in training; the states of all
    processes, one after another."""


class LanguageCheckpoint(CheckpointFile):
    """A trial of a language model, between two steps."""

    def save(self, state: LanguageState) -> None:
        """Write the state, if a checkpoint is due."""
        if not self.due:
            return
        parts = {part: getattr(state, part) for part in PARTS}
        parts["rest"] = {"losses": state.losses, "wrong": state.wrong, "dropout": state.dropout}
        self.write(parts, step=state.step)

    def load(self, device: torch.device) -> LanguageState | None:
        """Return the state that was saved last; None when there is none, when it is torn, or when
        other code wrote it."""
        try:
            content = self.read((*PARTS, "rest"), device)
            if not content:
                return None
            parts, metadata = content
            weights, buffers, first, second = (parts[part] for part in PARTS)
            step = int(metadata["step"])
            state = LanguageState(step, weights, buffers, first, second, **parts["rest"])
            return state if len(state.losses) == state.step else None
        except UNREADABLE:
            return None
