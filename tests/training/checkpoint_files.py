"""Make a checkpoint's file in a folder, and tamper with it."""

from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from harness.sweeps.registry import TaskRef
from harness.sweeps.trial import Trial
from harness.training.checkpoint import TrialCheckpoint
from harness.training.language_checkpoint import LanguageCheckpoint


def any_trial(trial_id: str = "0" * 16, **config: Any) -> Trial:
    return Trial(trial_id, TaskRef("sphere"), config, 0)


def checkpoint_in(folder: Path, trial: Trial | None = None) -> TrialCheckpoint:
    """Return the checkpoint of a trial in a folder that exists."""
    checkpoint = TrialCheckpoint.at(f"{folder}/{{}}.safetensors", trial or any_trial())
    assert checkpoint is not None
    return checkpoint


def language_checkpoint_in(
    folder: Path, trial: Trial | None = None, kind: type[LanguageCheckpoint] = LanguageCheckpoint
) -> LanguageCheckpoint:
    """Return the checkpoint of a language model's trial in a folder that exists."""
    checkpoint = kind.at(f"{folder}/{{}}.safetensors", trial or any_trial())
    assert checkpoint is not None
    return checkpoint


def rewrite(
    path: Path, metadata: dict[str, str] | None = None, without: str = "-", **rest: Tensor
) -> None:
    """Rewrite the file with other metadata, without the tensors whose names begin with `without`,
    or with these tensors in its part `rest`."""
    with safe_open(path, framework="pt") as f:
        own_metadata: dict[str, str] = f.metadata()
    tensors = {name: t for name, t in load_file(path).items() if not name.startswith(without)}
    tensors |= {f"rest/{name}": tensor for name, tensor in rest.items()}
    save_file(tensors, path, metadata=own_metadata if metadata is None else metadata)
