"""Interrupted training of a language model resumes exactly, and only from a file that is its own
and complete.

Run alone: python -m pytest tests/training/test_language_checkpoint.py
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.errors import TrialFailure
from harness.language import LanguageConfig
from harness.training import checkpoint as checkpoint_module
from harness.training.language_checkpoint import LanguageCheckpoint, LanguageState
from tests.training.checkpoint_files import any_trial, language_checkpoint_in, rewrite
from tests.training.small_language_models import (
    CPU,
    Breaking,
    assert_same_state,
    bigram,
    gpt,
    small_config,
    train,
)


class Cut(Exception):
    """Interrupts a training in these tests."""


class CutOff(LanguageCheckpoint):
    """A checkpoint that raises Cut after it was written for a certain step."""

    after = 0

    def save(self, state: LanguageState) -> None:
        super().save(state)
        if state.step == self.after:
            raise Cut


def train_until(step: int, model: nn.Module, config: LanguageConfig, folder: Path) -> None:
    """Train until the checkpoint of a step is in the folder, and no further."""
    checkpoint = language_checkpoint_in(folder, kind=CutOff)
    assert isinstance(checkpoint, CutOff)
    checkpoint.after = step
    with pytest.raises(Cut):
        train(model, config, checkpoint=checkpoint)


class Counting(nn.Module):
    """A model that counts its calls in a buffer, on which its output depends."""

    calls: Tensor

    def __init__(self):
        super().__init__()
        self.inner = bigram()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, tokens: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(tokens) / (1 + 0.1 * self.calls)


def half_frozen() -> nn.Module:
    model = bigram()
    assert isinstance(model, nn.Sequential)
    model[0].requires_grad_(False)
    return model


RESUMED: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "plain": (bigram, dict(max_epochs=3)),
    "gpt": (gpt, dict(max_epochs=3)),
    "accumulated": (gpt, dict(max_epochs=3, micro_batch=4)),
    "with dropout": (lambda: gpt(0.2), dict(max_epochs=3)),
    "with dropout, accumulated": (lambda: gpt(0.2), dict(max_epochs=3, micro_batch=6)),
    "in bfloat16": (gpt, dict(max_epochs=3, precision="bfloat16")),
    "with a buffer": (Counting, dict(max_epochs=3)),
    "half frozen": (half_frozen, dict(max_epochs=3)),
    "one long epoch": (bigram, dict(n=230, batch_size=1)),
}


@pytest.mark.slow
@pytest.mark.usefixtures("checkpoints_always_due")
@pytest.mark.parametrize(("model", "fields"), RESUMED.values(), ids=RESUMED.keys())
def test_interrupted_training_resumes_exactly(
    model: Callable[[], nn.Module], fields: dict[str, Any], tmp_path: Path
):
    config = small_config(**fields)
    uninterrupted = model()
    expected = train(uninterrupted, config)
    for step in (1, 4, expected.steps - 1):
        train_until(step, model(), config, tmp_path)
        resumed = model()
        fit = train(resumed, config, checkpoint=language_checkpoint_in(tmp_path))
        assert fit.resumed_step == step
        assert fit._replace(resumed_step=None) == expected
        assert_same_state(resumed, uninterrupted)
        next(tmp_path.iterdir()).unlink()


@pytest.mark.slow
@pytest.mark.usefixtures("checkpoints_always_due")
def test_training_may_be_interrupted_again_and_again(tmp_path: Path):
    config = small_config(n=230, batch_size=4)
    uninterrupted = gpt(0.2)
    expected = train(uninterrupted, config)

    cuts = range(3, expected.steps, 9)
    for step in cuts:
        train_until(step, gpt(0.2), config, tmp_path)
    resumed = gpt(0.2)
    fit = train(resumed, config, checkpoint=language_checkpoint_in(tmp_path))

    assert fit.resumed_step == cuts[-1]
    assert fit.curve == expected.curve
    assert fit.error == expected.error
    assert_same_state(resumed, uninterrupted)


@pytest.mark.usefixtures("checkpoints_always_due")
def test_keeping_checkpoints_changes_nothing(tmp_path: Path):
    config = small_config(max_epochs=3)
    without = gpt(0.2)
    kept = gpt(0.2)
    fit = train(without, config)
    assert train(kept, config, checkpoint=language_checkpoint_in(tmp_path)) == fit
    assert_same_state(kept, without)
    # no temporary file stays
    assert [p.name for p in tmp_path.iterdir()] == [f"{any_trial().trial_id}.safetensors"]


@pytest.mark.usefixtures("checkpoints_always_due")
def test_a_nan_before_the_checkpoint_is_found_after_it(tmp_path: Path):
    """Losses are checked every few steps, and a checkpoint may be written between a loss that is
    not finite and its check."""
    config = small_config(n=230, batch_size=1)  # checked every third step
    train_until(4, Breaking(4, math.nan), config, tmp_path)
    with pytest.raises(TrialFailure, match="in step 4$"):
        train(Breaking(1000, 0.0), config, checkpoint=language_checkpoint_in(tmp_path))


def test_no_checkpoint_before_it_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Other tests load a task file that sets another value.
    monkeypatch.setattr(checkpoint_module, "EVERY_S", 30.0)
    train(bigram(), small_config(max_epochs=3), checkpoint=language_checkpoint_in(tmp_path))
    assert not list(tmp_path.iterdir())


def replace_metadata(path: Path, **changes: str) -> None:
    """Write the metadata of the file's own trial at step 2, with changes."""
    rewrite(path, {**language_checkpoint_in(path.parent).made_by, "step": "2", **changes})


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "gone": lambda p: p.unlink(),
    "empty": lambda p: p.write_bytes(b""),
    "half of it": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "text": lambda p: p.write_text("a letter\n" * 100),
    "a pickle": lambda p: torch.save({"step": 2}, p),
    "no metadata": lambda p: rewrite(p, {}),
    "no step": lambda p: rewrite(p, language_checkpoint_in(p.parent).made_by),
    "another step": lambda p: replace_metadata(p, step="3"),
    "no moments": lambda p: rewrite(p, without="second_moments/"),
    "no state of dropout": lambda p: rewrite(p, without="rest/dropout"),
    "something more": lambda p: rewrite(p, more=torch.zeros(1)),
    "of another trial": lambda p: replace_metadata(p, trial_id="1" * 16),
    "of another torch": lambda p: replace_metadata(p, torch="1.0"),
    "of another loop": lambda p: replace_metadata(p, identity_version="0"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("checkpoints_always_due")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_or_foreign_file_is_no_checkpoint(damage: Callable[[Path], Any], tmp_path: Path):
    train_until(2, bigram(), small_config(), tmp_path)
    path = next(tmp_path.iterdir())
    replace_metadata(path)
    state = language_checkpoint_in(tmp_path).load(CPU)
    assert state is not None and state.step == 2 and len(state.losses) == 2

    damage(path)
    assert language_checkpoint_in(tmp_path).load(CPU) is None


@pytest.mark.usefixtures("checkpoints_always_due")
def test_a_checkpoint_that_cannot_be_written_costs_the_checkpoint_and_not_the_trial(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    checkpoint = language_checkpoint_in(folder)
    folder.rmdir()
    fit = train(bigram(), small_config(), checkpoint=checkpoint)
    assert fit.resumed_step is None
    assert checkpoint.load(CPU) is None
