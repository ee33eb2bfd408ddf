"""Fixtures of the tests of training."""

import pytest

from harness.training import checkpoint


@pytest.fixture
def checkpoints_always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a checkpoint after every epoch, or after every step of a language model."""
    monkeypatch.setattr(checkpoint, "EVERY_S", 0.0)
