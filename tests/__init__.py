"""Tests mirror the rooms of the code. The task files below are what the tests hand to
`--task-file`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FAILING_TASK = ROOT / "tests" / "failing_task.py"
"""Trials that go wrong, each in its own way."""

FAILING_LANGUAGE_TASK = ROOT / "tests" / "failing_language_task.py"
"""The same of language models."""

SOAK_TASK = ROOT / "tests" / "soak.py"
"""Trials that last as long as they are told to."""
