"""Trials of task `text`: stacked as alone, planned, and measured by every instrument.

Run alone: python -m pytest tests/tasks/text/test_trials.py
"""

from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from harness.measures.counts import count_parameters
from harness.measures.gradients import linear_distance, margins, slopes
from harness.measures.jacobian import FEW_OUTPUTS, linearise, local_norms, local_norms_of
from harness.planning.batches import make_batches
from harness.planning.machine_speed import LARGE_GPU, SMALL_MACHINE
from harness.planning.plan import plan
from harness.store.schema import arrow_schema
from tasks.gpt import WindowGPT
from tasks.text import TextConfig
from tasks.text_windows import HELD_OUT
from tests.tasks.inline_trials import run
from tests.tasks.text.window_trials import TASK, sweep, trial

pytestmark = pytest.mark.slow


def test_a_stack_trains_as_each_alone(source: str):
    fields = dict(n=64, batch_size=16, stop="epochs", max_epochs=5, layers=2)
    trials = tuple(trial(source, seed, **fields) for seed in (0, 1, 2))
    for stacked, alone in zip(run(trials), run(*trials), strict=True):
        assert (stacked["stack_size"], stacked["stack_note"], stacked["steps"]) == (3, None, 20)
        assert alone["stack_size"] == 1
        for name in ("train_loss", "test_loss", "nll", "brier"):
            assert stacked[name] == pytest.approx(alone[name], rel=1e-5), name

        weights = safetensors.torch.load(stacked["weights"])
        for name, own in safetensors.torch.load(alone["weights"]).items():
            torch.testing.assert_close(weights[name], own, rtol=0, atol=1e-5)


def test_widths_are_not_padded_to_one_another(source: str):
    """The norms of GPT-2 would count the padding, so such a stack is refused. Models of one width
    train together."""
    trials = tuple(
        trial(source, seed, width=width, stop="epochs", max_epochs=1)
        for width, seed in ((8, 0), (16, 1), (8, 1), (16, 0))
    )
    refused = run(trials)
    assert [columns["stack_size"] for columns in refused] == [2, 2, 2, 2]
    for columns, alone in zip(refused, run(*trials), strict=True):
        assert "another function" in columns["stack_note"]
        assert columns["train_loss"] == pytest.approx(alone["train_loss"], rel=1e-5)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_widths_that_cannot_be_padded_are_not_planned_as_one_stack(source: str, device: str):
    trials = [trial(source, seed, width=width) for width in (8, 16, 24) for seed in (0, 1)]
    machine = LARGE_GPU if device == "gpu" else SMALL_MACHINE
    gpus = 1.0 if device == "gpu" else 0.0
    made = make_batches(trials, machine, 64, 1e6, gpus=gpus)
    stacks = [stack for planned in made for stack in planned.batch.stacks]
    assert all(len({t.config["width"] for t in stack}) == 1 for stack in stacks)
    if device == "gpu":
        assert [len(stack) for stack in stacks] == [2, 2, 2]


def test_a_plan_costs_every_cell(source: str):
    planned = plan(sweep(source, grid="{width: [8, 16], context: [6, 8]}"), print)
    assert (planned.trials, len(planned.cells)) == (4, 4)
    for cell in planned.cells:
        model = TASK.model(TextConfig.model_validate(cell.config))
        assert cell.p == count_parameters(model).trainable
        assert cell.params_per_token == cell.p / 60
        assert cell.d_ambient == 4 * cell.config["context"]


@pytest.fixture(scope="module")
def row(source: str) -> dict[str, Any]:
    """Return the row of a trial, measured."""
    (columns,) = run(trial(source, max_epochs=4, n=64, context=5, width=8), points=5)
    assert columns["status"] == "ok", columns["failure_message"]
    return columns


def test_a_row_has_everything(row: dict[str, Any]):
    c = row
    assert set(c) - {"weights"} <= set(arrow_schema().names)
    assert (c["family"], c["n"], c["tokens_distinct"]) == ("gpt", 64, 64)
    assert (c["d_ambient"], c["outputs"]) == (20, 256)
    assert c["p_over_nd_ambient"] == c["p"] / (64 * 20)
    assert c["params_per_token"] == c["p"] / 64
    assert c["p"] == sum(group["trainable"] for group in c["params_by_group"])
    assert c["p_frozen"] == 0
    assert (c["noise_kind"], c["eta"], c["sigma2"]) == ("target_resample", 0.3, None)
    assert c["epsilon"] == c["bayes_error"] / 2 == pytest.approx(0.3 * (1 - 1 / 256) / 2)
    assert (c["isoperimetry"], c["test_n"], c["measure_points"]) == ("assumed", HELD_OUT, 5)
    for name in (
        "stability_attack_mean",
        "stability_first_order_mean",
        "lip_lower_jacobian",
        "lip_lower_pairs",
        "lip_mean_grad",
        "margin_mean",
        "lip_lower_logprob_jacobian",
        "lip_lower_residual",
        "nll",
        "ece",
        "brier",
        "d_twonn",
        "data_unit",
    ):
        assert c[name] is not None and c[name] == c[name], name
    assert 0 < c["stability_attack_mean"] <= c["stability_cap"]
    assert c["lip_lower_jacobian"] <= c["lip_lower_pairs"]
    assert c["nll"] == pytest.approx(c["test_loss"])
    assert c["gradient_of"] == "margin"


def test_noise_moves_probabilities_the_more_the_longer_it_is(row: dict[str, Any]):
    kl = row["noise_kl"]
    assert len(kl) == len(row["noise_radii"])
    assert 0 < kl[0] < kl[-1]
    assert all(k >= 0 for k in kl)


def test_tokens_are_changed_at_every_distance(row: dict[str, Any]):
    changes = {(change["kind"], change["distance"]): change for change in row["token_changes"]}
    kinds = ("replaced", "swapped", "typo")
    assert set(changes) == {(kind, distance) for kind in kinds for distance in (1, 2, 4)}
    assert changes["replaced", 1]["kl"] > 0
    assert all(0 <= change["flip_rate"] <= 1 for change in changes.values())


# Instruments on a vocabulary, against brute force


def a_model(vocabulary: int, scale: float) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = WindowGPT(4, 16, 2, 2, 6, vocabulary)
        for p in model.parameters():
            p.data += scale * torch.randn(p.shape)
    return model.eval()


@pytest.mark.parametrize("vocabulary", [FEW_OUTPUTS + 1, 60])
@pytest.mark.parametrize("scale", [0.2, 0.5])
def test_margins_over_the_linear_distances_are_among_all_of_them(vocabulary: int, scale: float):
    model = a_model(vocabulary, scale)
    x = torch.randn(12, 6, 4, generator=torch.Generator().manual_seed(1))
    whole = linearise(model, x)
    label = whole.outputs.argmax(1)
    point = torch.arange(12)[:, None]

    found = margins(model, x, label, vocabulary)
    assert found.rivals is not None
    assert found.rivals.shape == (12, 8)
    assert not (found.rivals == label[:, None]).any()
    torch.testing.assert_close(
        found.values, whole.outputs[point, label[:, None]] - whole.outputs[point, found.rivals]
    )
    gradients = whole.jacobian[point, label[:, None]] - whole.jacobian
    torch.testing.assert_close(
        found.gradients, gradients[point, found.rivals], rtol=1e-4, atol=1e-5
    )

    gap = whole.outputs.gather(1, label[:, None]) - whole.outputs
    exact = (gap / gradients.flatten(2).norm(dim=2)).nan_to_num(nan=torch.inf).amin(1)
    distance = linear_distance(found, slopes(found))
    assert bool((distance >= exact * (1 - 1e-4)).all()), "over fewer rivals it can only be larger"
    assert float(distance.mean()) <= 1.05 * float(exact.mean())


@pytest.mark.parametrize("scale", [0.2, 0.5])
@sdpa_kernel(SDPBackend.MATH)
def test_lanczos_norms_are_those_of_whole_jacobians(scale: float):
    model = a_model(40, scale)
    x = torch.randn(5, 6, 4, generator=torch.Generator().manual_seed(1))
    by_lanczos = local_norms(model, x, 40, on_sphere=False)
    whole = local_norms_of(linearise(model, x), x, 40, on_sphere=False)
    assert by_lanczos.logprobs is not None and whole.logprobs is not None
    torch.testing.assert_close(by_lanczos.outputs.norm, whole.outputs.norm, rtol=1e-3, atol=0)
    torch.testing.assert_close(by_lanczos.logprobs.norm, whole.logprobs.norm, rtol=1e-3, atol=0)
