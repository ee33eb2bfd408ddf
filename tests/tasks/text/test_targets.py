"""Windows with several targets, tables drawn from the seed, and Llama in place of GPT-2.

Run alone: python -m pytest tests/tasks/text/test_targets.py
"""

from typing import Any

import pytest
import torch

from harness.errors import UserError
from harness.execution import sample_trials
from harness.execution.model_weights import initialised
from harness.execution.prepared import prepare
from harness.planning.model_shape import shape_of
from harness.sweeps.registry import TaskRef
from harness.task import Seeds, check
from harness.training.alone import Alone
from harness.training.evaluation import evaluate
from tasks.text import token_table
from tests.tasks.inline_trials import run
from tests.tasks.text.window_trials import TASK, config_of, data_of, sweep, tokens_of, trial


def test_every_target_is_the_token_after_its_position(source: str):
    clean: dict[str, Any] = dict(n=200, target_resample=0.0, stop="epochs")
    data = data_of(source, targets=4, **clean)
    check(data, (8, 4), 200)
    assert data.y_positions is not None and data.y_positions.shape == (200, 4)
    tokens = tokens_of(data.x_train)
    assert torch.equal(data.y_positions[:, :-1], tokens[:, -3:])
    assert torch.equal(data.y_positions[:, -1], data.y_train)

    assert len(tokens[:, :5].unique(dim=0)) == 200, "what stands before a first target is unique"
    assert data_of(source, **clean).y_positions is None


def test_every_target_is_redrawn_with_the_same_probability(source: str):
    fields: dict[str, Any] = dict(n=1000, targets=4)
    clean = data_of(source, target_resample=0.0, stop="epochs", **fields)
    noisy = data_of(source, **fields)
    assert torch.equal(clean.x_train, noisy.x_train)
    assert clean.y_positions is not None and noisy.y_positions is not None
    is_wrong = (clean.y_positions != noisy.y_positions).float()
    assert torch.allclose(is_wrong.mean(0), torch.tensor(noisy.noise.level), atol=4 * 0.015)
    together = torch.corrcoef(is_wrong.T)
    assert float((together - torch.eye(4)).abs().max()) < 4 / 1000**0.5


def test_losses_and_errors_are_means_over_all_targets(source: str):
    config = config_of(source, targets=3)
    data = TASK.data(config, Seeds(0))
    model = initialised(TASK, config, Seeds(0))
    (found,) = evaluate(Alone(model.for_training()), [data])  # pyright: ignore[reportCallIssue]

    assert data.y_positions is not None
    with torch.no_grad():
        logits = model.at_targets(data.x_train)  # pyright: ignore[reportCallIssue]
        last = model(data.x_train)
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), data.y_positions)
    error = (logits.argmax(-1) != data.y_positions).float().mean()
    assert found.loss == pytest.approx(float(loss), rel=1e-5)
    assert found.error == pytest.approx(float(error), rel=1e-5)
    torch.testing.assert_close(last, logits[:, -1])


@pytest.mark.slow
def test_a_plan_counts_the_heads_work_at_every_target(source: str):
    flops = {
        targets: shape_of(TaskRef("text"), config_of(source, targets=targets)).flops_per_sample
        for targets in (1, 3, 5)
    }
    assert flops[5] - flops[3] == flops[3] - flops[1] == 2 * 3 * 2 * 8 * 256


@pytest.mark.slow
def test_a_plan_counts_the_adversarys_passes_through_every_target(source: str):
    """A pass has no gradients of weights: forward and to the input, in place of three matmuls."""
    flops = {}
    for targets in (1, 3, 5):
        config = config_of(source, targets=targets, adversary="fgsm", adversary_radius=0.1)
        flops[targets] = shape_of(TaskRef("text"), config).training_flops(config)
    assert flops[5] - flops[3] == flops[3] - flops[1] == 2 * (3 + 2) * 2 * 8 * 256


@pytest.mark.slow
def test_a_model_that_cannot_be_built_without_its_data_costs_the_same(
    source: str, monkeypatch: pytest.MonkeyPatch
):
    one = trial(source, targets=3, adversary="fgsm", adversary_radius=0.1, check_every=1)
    config = one.load_config()
    planned = shape_of(one.ref, config).training_flops(config)

    def refused(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(sample_trials, "shape_of", refused)
    prepared = prepare(one, torch.device("cpu"))
    assert sample_trials._flops_per_sample(prepared) == planned


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_a_trial_with_several_targets_is_below_the_noise_and_measured(
    source: str, architecture: str
):
    fields: dict[str, Any] = dict(
        n=40, targets=3, width=24, heads=2, lr=0.01, max_epochs=300, check_every=1
    )
    (row,) = run(trial(source, architecture=architecture, **fields), points=4)
    assert row["status"] == "ok", row["failure_message"]
    assert row["family"] == ("gpt" if architecture == "gpt2" else "llama")
    assert row["below_noise"] and row["stop_reason"] == "below_noise"
    assert (row["n"], row["tokens_distinct"]) == (40, 120)
    assert row["params_per_token"] == row["p"] / 120
    assert row["p_over_nd_ambient"] == row["p"] / (40 * 32)
    assert row["tokens_seen"] == 3 * 40 * row["steps"], "40 windows are one step"
    assert 0.8 < row["train_error"] / row["epsilon"] <= 1
    assert 0 < row["stability_attack_mean"] <= row["stability_cap"]
    assert 0 < row["lip_lower_jacobian"] <= row["lip_lower_pairs"]


def test_a_table_is_drawn_from_the_seed_or_fixed(source: str):
    tables = {}
    for table in ("fixed", "seed"):
        for seed in (0, 1):
            text = data_of(source, seed=seed, table=table).text
            assert text is not None
            tables[table, seed] = text.table
    assert torch.equal(tables["fixed", 0], tables["fixed", 1])
    assert torch.equal(tables["fixed", 0], token_table(256, 4))
    assert not torch.equal(tables["seed", 0], tables["seed", 1])
    assert not torch.equal(tables["seed", 0], tables["fixed", 0])
    assert float(tables["seed", 0].square().sum(1).mean()) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(
    "written", [{"targets": 1}, {"table": "fixed"}, {"architecture": "gpt2"}], ids=str
)
def test_a_default_written_out_is_the_same_trial(source: str, written: dict[str, Any]):
    assert trial(source, **written).trial_id == trial(source).trial_id


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "more targets than tokens": (
        dict(targets=9),
        "'targets' is 9 and must be at most 'context', 8",
    ),
    "a search with several": (
        dict(targets=2, frontier="adversary", stop="epochs"),
        "'targets' is 2 and frontier 'adversary' searches for one target a window",
    ),
    "an odd head": (
        dict(architecture="llama", width=10, heads=2),
        "'width' is 10 and 'heads' 2; architecture 'llama' rotates pairs of numbers",
    ),
    "an unknown architecture": (
        dict(architecture="lama"),
        "architecture' must be 'gpt2' or 'llama', not 'lama'",
    ),
    "too few beginnings": (
        dict(n=100, targets=8),
        r"the source has \d+ different training windows of 1 tokens, and 100 are needed",
    ),
}


@pytest.mark.parametrize(("given", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_named(source: str, given: dict[str, Any], sentence: str):
    with pytest.raises(UserError, match=sentence):
        sweep(source, **given)
        data_of(source, **given)
