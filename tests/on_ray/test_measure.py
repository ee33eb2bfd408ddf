"""`unilaw measure` on Ray: what a worker measures of kept weights stands beside what was trained.

Run alone: python -m pytest tests/on_ray/test_measure.py
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.dispatch.worker_pool import WorkerPool
from harness.execution.trial_result import TrialResult
from harness.store.latest import latest
from harness.store.store import Store
from harness.sweeps.trial import Batch

pytestmark = pytest.mark.ray

SWEEP = """\
name: small
seeds: [0]
limits: {measure_points: 8}
tasks:
  - task: sphere
    fixed: {n: 32, d: 4, max_epochs: 5}
    grid: {width: [4, 8]}
"""

TRAINED = ["trial_id", "attempt", "p", "train_loss", "epochs", "weights_file", "data_hash"]


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """Batches that workers have finished."""
    batches: list[Batch] = []
    finished_by = WorkerPool.finished

    def note(pool: WorkerPool) -> Iterator[tuple[Batch, list[TrialResult]]]:
        for batch, results in finished_by(pool):
            batches.append(batch)
            yield batch, results

    monkeypatch.setattr(WorkerPool, "finished", note)
    return batches


def test_everything_measured_is_new_and_everything_trained_is_as_it_was(
    unilaw_here, ray_here: None, finished: list[Batch], tmp_path: Path
):
    (tmp_path / "small.yaml").write_text(SWEEP)
    run = unilaw_here("run", "small.yaml", "--inline", "--store", "rows", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    store = Store.open(tmp_path / "rows")
    before = store.read().rows.sort_values("trial_id", ignore_index=True)

    done = unilaw_here("measure", "rows", "--again", "--points", 8, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 measured, 0 not")
    assert sum(len(batch.trials) for batch in finished) == 2
    assert len(store.read().rows) == 4
    after = latest(store.read().rows).sort_values("trial_id", ignore_index=True)
    assert before["measured_at"].isna().all() and after["measured_at"].notna().all()
    assert after[TRAINED].equals(before[TRAINED])
    assert after["stability_attack_mean"].tolist() == pytest.approx(
        before["stability_attack_mean"].tolist(), rel=1e-3
    )
