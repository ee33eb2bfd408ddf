"""Models that were trained apart are measured together, have the rows that they have alone, and
fail alone.

Run alone: python -m pytest tests/execution/test_measured_together.py
"""

from typing import Any, NamedTuple

import pytest

from harness.execution import measuring
from harness.execution.run_batch import run_batch
from harness.store.schema import Columns
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from tests.measures.agreement import alike

SETTINGS = RunSettings(1, 0, 60, 0, (10, 10, 5), checkpoints=None)

ABOUT_THE_PROCESS = {"wall_s", "train_s", "measure_s", "measure_share", "peak_bytes", "started_at"}


def trial(task: str = "sphere", seed: int = 0, **fixed: Any) -> Trial:
    fields = {"n": 64, "d": 8, "width": 6, "stop": "epochs", "max_epochs": 10} | fixed
    text = f"name: a\nseeds: [{seed}]\ntasks:\n  - task: {task}\n    fixed: {fields}\n"
    return parse_sweep(text, "sweep.yaml").trials[0]


APART = [
    trial(),
    trial(seed=1, width=20),
    trial(n=48, lr=0.01),
    trial(width=5, depth=2),
]
"""Each trains by itself. The first three can be measured together."""


def rows(stacks: list[Trial]) -> list[Columns]:
    batch = Batch(tuple((made,) for made in stacks))
    return [result.columns for result in run_batch(batch, SETTINGS)]


def calls_of_measure(patch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets, for each call of `measure` from now on, how many models it is of."""
    sizes: list[int] = []
    measure = measuring.measure

    def counted(program, samples, seeds, points):
        sizes.append(len(samples))
        return measure(program, samples, seeds, points)

    patch.setattr(measuring, "measure", counted)
    return sizes


class Together(NamedTuple):
    """The rows of APART in one batch, and how many models each call of `measure` got."""

    rows: list[Columns]
    calls: list[int]


@pytest.fixture(scope="module")
def together() -> Together:
    with pytest.MonkeyPatch.context() as patch:
        calls = calls_of_measure(patch)
        return Together(rows(APART), calls)


@pytest.mark.slow
def test_models_trained_apart_have_the_rows_that_they_have_alone(together: Together):
    assert together.calls == [3, 1]
    for made, row in zip(APART, together.rows, strict=True):
        (alone,) = rows([made])
        assert row["stack_size"] == 1
        assert row.keys() == alone.keys()
        for name in row.keys() - ABOUT_THE_PROCESS:
            assert alike(name, row[name], alone[name], points=5, rel=1e-5), name


@pytest.mark.slow
def test_what_cannot_be_measured_fails_alone(monkeypatch: pytest.MonkeyPatch):
    measure = measuring.measure

    def refuses_seed_1(program, samples, seeds, points):
        if any(s.seed == 1 for s in seeds):
            raise RuntimeError("an instrument gave up")
        return measure(program, samples, seeds, points)

    monkeypatch.setattr(measuring, "measure", refuses_seed_1)
    found = rows(APART[:3])
    assert [row.get("failure_kind") for row in found] == [None, "bug", None]
    assert "an instrument gave up" in found[1]["failure_message"]


@pytest.mark.slow
def test_seconds_of_measuring_are_shared_equally(together: Together):
    first, second, third = together.rows[:3]
    assert first["measure_s"] == second["measure_s"] == third["measure_s"] > 0
    assert first["train_s"] != second["train_s"]
    assert all(row["wall_s"] >= row["train_s"] + row["measure_s"] for row in (first, second, third))


@pytest.mark.slow
def test_small_models_are_not_padded_to_much_larger_ones(monkeypatch: pytest.MonkeyPatch):
    calls = calls_of_measure(monkeypatch)
    rows([trial(), trial(width=1000)])
    assert calls == [1, 1]
