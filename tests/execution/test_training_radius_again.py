"""A trial's training radius, and the same figure from its kept weights.

Run alone: python -m pytest tests/execution/test_training_radius_again.py
"""

from pathlib import Path

import pytest

from harness.execution.run_batch import run_batch
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings

pytestmark = pytest.mark.slow

SWEEP = """
name: a
seeds: [0]
tasks:
  - task: sphere
    fixed: {n: 32, d: 16, width: 64, stop: interpolate, max_epochs: 1000, batch_size: 32}
"""


def test_kept_weights_measured_again_have_the_same_training_radius(tmp_path: Path):
    (trial,) = parse_sweep(SWEEP, "a.yaml").trials
    batch = Batch(((trial,),))
    settings = RunSettings(1, 0, 60, 10**6, measure_points=(16, 24, 8), checkpoints=None)
    (trained,) = run_batch(batch, settings)
    assert trained.weights is not None
    first = trained.columns
    assert first["stop_reason"] == "interpolated", "or the radius below may be 0"
    assert 0 < first["training_radius"] < 1
    assert first["training_radius_se"] > 0
    assert first["training_radius_points"] == 24
    assert (first["measure_points"], first["measure_points_others"]) == (16, 8)

    # A path along the sphere is longer than the straight one in R^d.
    assert first["training_radius_chord"] >= 0.99 * first["training_radius_l2"]

    (tmp_path / f"{trial.trial_id}.safetensors").write_bytes(trained.weights)
    (again,) = run_batch(batch, settings._replace(trained=str(tmp_path / "{}.safetensors")))
    assert again.columns["data_hash"] == first["data_hash"]
    for name in ("training_radius", "training_radius_se", "training_radius_chord"):
        assert again.columns[name] == pytest.approx(first[name], rel=1e-3), name
