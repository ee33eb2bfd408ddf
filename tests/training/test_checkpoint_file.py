"""The file of a checkpoint: what is read back, which files are refused, and how often it is
written.

Run alone: python -m pytest tests/training/test_checkpoint_file.py
"""

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.training import checkpoint as checkpoint_module
from harness.training.checkpoint import TrialCheckpoint
from harness.training.evaluation import Evaluation
from harness.training.loop import Checkpoint
from tests.training.checkpoint_files import any_trial, checkpoint_in, rewrite
from tests.training.interrupted_training import CPU, Training, assert_equal_bits

pytestmark = pytest.mark.usefixtures("checkpoints_always_due")


def made_up(epoch: int) -> Checkpoint:
    numbers = torch.arange(3.0)
    return Checkpoint(
        epoch,
        parameters={"a.b": numbers},
        buffers={"a.b": numbers + 1},
        first_moments={"a.b": numbers + 2},
        second_moments={"a.b": numbers + 3},
        orders=[torch.ones(1)],
        dropout=torch.get_rng_state(),
        lags={0: Evaluation(0.9, 0.5)},
    )


def test_what_is_saved_comes_back(tmp_path: Path):
    generators = [torch.Generator().manual_seed(seed).get_state() for seed in range(4)]
    state = made_up(7)._replace(orders=generators[:2], starts=generators[2:])
    checkpoint_in(tmp_path).save(state)

    loaded = checkpoint_in(tmp_path).load(CPU)
    assert loaded is not None and loaded.epoch == 7
    assert_equal_bits(loaded.parameters, state.parameters)
    assert_equal_bits(loaded.buffers, state.buffers)
    assert_equal_bits(loaded.first_moments, state.first_moments)
    assert_equal_bits(loaded.second_moments, state.second_moments)
    assert len(loaded.orders) == len(loaded.starts) == 2
    assert all(map(torch.equal, loaded.orders, state.orders))
    assert all(map(torch.equal, loaded.starts, state.starts))
    assert torch.equal(loaded.dropout, state.dropout)
    assert loaded.lags == state.lags
    # no temporary file stays
    assert [p.name for p in tmp_path.iterdir()] == [f"{any_trial().trial_id}.safetensors"]


def test_no_file_no_checkpoint(tmp_path: Path):
    assert checkpoint_in(tmp_path).load(CPU) is None


def saved(folder: Path) -> Path:
    """Return the file of a training that was interrupted after two epochs."""
    Training("mlp").until(2, checkpoint_in(folder))
    return next(folder.iterdir())


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda p: p.write_bytes(b""),
    "a few bytes": lambda p: p.write_bytes(p.read_bytes()[:5]),
    "the header cut": lambda p: p.write_bytes(p.read_bytes()[:100]),
    "half of it": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "the last byte gone": lambda p: p.write_bytes(p.read_bytes()[:-1]),
    "bytes at the end": lambda p: p.write_bytes(p.read_bytes() + b"more"),
    "noise": lambda p: p.write_bytes(bytes(range(256)) * 40),
    "text": lambda p: p.write_text("a letter\n" * 100),
    "a pickle": lambda p: torch.save({"epoch": 2}, p),
    "no metadata": lambda p: rewrite(p, {}),
    "no epoch": lambda p: rewrite(p, checkpoint_in(p.parent).made_by),
    "an epoch that is no number": lambda p: rewrite(
        p, {**checkpoint_in(p.parent).made_by, "epoch": "two"}
    ),
    "no order": lambda p: rewrite(p, without="generators/1"),
    "no moments": lambda p: rewrite(p, without="first_moments/"),
    "a folder": lambda p: (p.unlink(), p.mkdir()),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_no_checkpoint(damage: Callable[[Path], Any], tmp_path: Path):
    path = saved(tmp_path)
    assert checkpoint_in(tmp_path).load(CPU) is not None
    damage(path)
    assert checkpoint_in(tmp_path).load(CPU) is None


def test_a_checkpoint_that_cannot_be_written_costs_the_checkpoint_and_not_the_trial(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    checkpoint = checkpoint_in(folder)
    folder.rmdir()
    expected = Training("mlp").go()
    assert Training("mlp").go(keep=checkpoint.save) == expected
    assert checkpoint.load(CPU) is None


def test_a_damaged_file_is_replaced_by_the_next_one(tmp_path: Path):
    saved(tmp_path).write_bytes(b"torn")
    saved(tmp_path)
    assert checkpoint_in(tmp_path).load(CPU) is not None


def test_another_trials_checkpoint_is_ignored(tmp_path: Path):
    other = tmp_path / f"{'1' * 16}.safetensors"
    saved(tmp_path).rename(other)
    assert checkpoint_in(tmp_path, any_trial("1" * 16)).load(CPU) is None


def test_another_kind_of_devices_checkpoint_is_ignored(tmp_path: Path):
    """A GPU's generator has a state of 16 bytes."""
    of_a_gpu = made_up(7)._replace(dropout=torch.zeros(16, dtype=torch.uint8))
    checkpoint_in(tmp_path).save(of_a_gpu)
    assert checkpoint_in(tmp_path).load(CPU) is None


def test_another_torchs_checkpoint_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    saved(tmp_path)
    monkeypatch.setattr(torch, "__version__", "1.0")
    assert checkpoint_in(tmp_path).load(CPU) is None


def test_another_training_codes_checkpoint_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    saved(tmp_path)
    monkeypatch.setattr(checkpoint_module, "IDENTITY_VERSION", 10**6)
    assert checkpoint_in(tmp_path).load(CPU) is None


def test_two_checkpoints_are_an_interval_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint_module, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(checkpoint_module, "EVERY_S", 30.0)
    checkpoint = checkpoint_in(tmp_path)
    epochs = []

    for epoch, seconds in enumerate([10, 19, 1, 29, 2, 40, 5], start=1):
        now[0] += seconds
        checkpoint.save(made_up(epoch))
        state = checkpoint.load(CPU)
        epochs.append(state and state.epoch)
    assert epochs == [None, None, 3, 3, 5, 6, 6]


def test_a_missing_folder_keeps_no_checkpoint(tmp_path: Path):
    assert TrialCheckpoint.at(None, any_trial()) is None
    assert TrialCheckpoint.at(str(tmp_path / "gone" / "{}.safetensors"), any_trial()) is None
