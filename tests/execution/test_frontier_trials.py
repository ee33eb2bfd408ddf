"""A search for the most robust fit as a trial: which fields go together, and what its row says.

Run alone: python -m pytest tests/execution/test_frontier_trials.py
"""

from typing import Any

import pytest
from pydantic import ValidationError

from harness.execution.run_batch import run_batch
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings
from tasks.mnist import Mnist, MnistConfig
from tasks.sphere import SphereConfig
from tasks.text import TextConfig


@pytest.mark.parametrize(
    ("config", "fields", "why"),
    [
        (SphereConfig, {"search_seed": 1}, "nothing is searched"),
        (SphereConfig, {"frontier": "adversary", "stop": "noise"}, "trains to the cap"),
        (
            SphereConfig,
            {"frontier": "penalty", "adversary": "fgsm", "adversary_radius": 0.1},
            "brings its own balls",
        ),
        (MnistConfig, {"frontier": "adversary"}, "label_flip or label_resample"),
        (TextConfig, {"frontier": "adversary"}, "target_resample"),
        (MnistConfig, {"stop": "epochs", "pixels": 7, "model": "cnn"}, "28 by 28"),
    ],
)
def test_fields_that_do_not_go_together(config: Any, fields: dict[str, Any], why: str):
    with pytest.raises(ValidationError, match=why):
        config.model_validate(fields)


def test_the_new_fields_leave_earlier_identities_as_they_were():
    plain = SphereConfig.model_validate({}).plain()
    assert "frontier" not in plain and "search_seed" not in plain
    assert "pixels" not in MnistConfig.model_validate({"stop": "epochs"}).plain()


@pytest.mark.slow
def test_digits_are_averaged_over_squares():
    fields = {"n": 10, "stop": "epochs"}
    from harness.task import Seeds

    whole = Mnist().data(MnistConfig.model_validate(fields), Seeds(0)).x_train
    small = Mnist().data(MnistConfig.model_validate(fields | {"pixels": 7}), Seeds(0)).x_train
    assert small.shape == (10, 1, 7, 7)
    assert float(small[3, 0, 2, 4]) == pytest.approx(float(whole[3, 0, 8:12, 16:20].mean()))


@pytest.mark.slow
def test_the_row_of_a_search():
    text = (
        "name: a\nseeds: [0]\ntasks:\n  - {task: sphere, fixed: {n: 64, d: 16, frontier: adversary,"
        " search_seed: 7, batch_size: 64, max_epochs: 150, lr: 0.01}, grid: {width: [4, 16]}}\n"
    )
    trials = tuple(parse_sweep(text, "sweep.yaml").trials)
    settings = RunSettings(1, 0, 300.0, 10**7, (16, 64, 16), checkpoints=None)
    small, large = (result.columns for result in run_batch(Batch((trials,)), settings))

    for row in (small, large):
        assert row["status"] == "ok" and row["stack_size"] == 2
        assert row["robust_below_noise"] and row["frontier_error"] <= 0.25
        assert row["frontier_radius"] < min(row["radius_ceiling"], row["radius_law_32bit"])
        assert row["frontier_radius"] < (row["frontier_radius_missed"] or 1.0)
        # The whole training set was measured for both. The verification also has gradient steps.
        assert row["frontier_points"] == row["training_radius_points"] == 64
        assert row["frontier_radius"] <= 1.001 * row["training_radius"]
        first, later = 3 * 150, (row["frontier_trainings"] - 3) * 60
        assert row["epochs"] == first + later
    assert small["frontier_radius"] < large["frontier_radius"]
