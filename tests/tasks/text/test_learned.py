"""GPT-2's own learned embeddings: the function it is, what its rows count, and what is refused.

Run alone: python -m pytest tests/tasks/text/test_learned.py
"""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from harness.errors import UserError
from harness.execution.sample_task_check import CHECKS
from harness.execution.sample_trials import SampleTrials
from harness.execution.task_check import Tried
from harness.measures.counts import count_parameters
from harness.planning.model_shape import shape_of
from harness.sweeps.registry import TaskRef
from harness.sweeps.trial import RunSettings
from harness.task import Seeds, check
from tasks.learned_gpt import LearnedWindowGPT
from tasks.text import TextConfig
from tests.tasks.inline_trials import run
from tests.tasks.small_gpts import (
    CONTEXT,
    HEADS,
    LAYERS,
    VOCABULARY,
    WIDTH,
    a_stream,
    seeded,
    shaken,
    some_tokens,
)
from tests.tasks.text.window_trials import TASK, config_of, data_of, sweep, tokens_of, trial

LEARNED: dict[str, Any] = {"table": "learned"}


def test_the_function_is_gpt2s_on_tokens_and_on_its_own_embeddings():
    stream = shaken(seeded(a_stream))
    model = LearnedWindowGPT(WIDTH, LAYERS, HEADS, CONTEXT, VOCABULARY)
    weights = stream.transformer.transformer.state_dict()  # pyright: ignore
    model.body.load_state_dict(weights)
    tokens = some_tokens()
    expected = stream(tokens)
    torch.testing.assert_close(model.for_training()(tokens.float()), expected[:, -1])
    torch.testing.assert_close(model(model.table()[tokens]), expected[:, -1])

    several = LearnedWindowGPT(WIDTH, LAYERS, HEADS, CONTEXT, VOCABULARY, targets=3)
    several.body.load_state_dict(weights)
    torch.testing.assert_close(several.for_training()(tokens.float()), expected[:, -3:])
    torch.testing.assert_close(several(several.table()[tokens]), expected[:, -1])


@pytest.mark.parametrize(("width", "layers", "context"), [(8, 1, 8), (32, 2, 16)])
def test_tied_embeddings_count_once_and_a_token_is_width_numbers(
    source: str, width: int, layers: int, context: int
):
    fields: dict[str, Any] = dict(width=width, layers=layers, context=context)
    config = config_of(source, **LEARNED, **fields)
    counts = count_parameters(TASK.model(config))
    assert {group.group: group.trainable for group in counts.groups} == {
        "embedding": 256 * width,
        "position": context * width,
        "norm": (2 * layers + 1) * 2 * width,
        "attention": layers * 4 * (width + 1) * width,
        "mlp": layers * (8 * width**2 + 5 * width),
    }
    twin = config_of(source, d_in=4, **fields)
    assert counts.trainable == count_parameters(TASK.model(twin)).trainable - 4 * width
    assert counts.frozen == 0

    assert TASK.input_shape(config) == (context,)
    assert TASK.d_ambient(config) == context * width
    assert (TASK.d_ambient(twin), TASK.input_shape(twin)) == (4 * context, (context, 4))
    shape = shape_of(TaskRef("text"), config)
    assert (shape.p, shape.outputs) == (counts.trainable, 256)


def test_the_windows_and_their_noise_are_those_of_the_random_table(source: str):
    data = TASK.data(config_of(source, **LEARNED, targets=2), Seeds(0))
    twin = data_of(source, targets=2)
    check(data, (8,), 60)
    assert torch.equal(data.x_train, tokens_of(twin.x_train).float())
    assert torch.equal(data.x_test, tokens_of(twin.x_test).float())
    assert data.y_positions is not None and twin.y_positions is not None
    assert torch.equal(data.y_positions, twin.y_positions)
    assert torch.equal(data.y_test, twin.y_test)
    assert data.noise == twin.noise


def test_the_instruments_see_the_models_own_embeddings(source: str):
    config = config_of(source, **LEARNED, targets=2)
    data = TASK.data(config, Seeds(0))
    model = TASK.model(config)
    assert isinstance(model, LearnedWindowGPT)
    seen = TASK.as_measured(config, model, data)
    check(seen, (8, 8), 60)
    assert seen.learned_inputs and not data.learned_inputs
    assert torch.equal(seen.x_train, model.table()[data.x_train.long()])
    assert seen.text is not None and torch.equal(seen.text.table[seen.text.tokens], seen.x_test)
    assert not seen.x_train.requires_grad

    random = data_of(source)
    assert TASK.as_measured(config_of(source), TASK.model(config_of(source)), random) is random


@pytest.mark.slow
def test_a_row_says_that_it_lies_outside_the_laws_input_space(source: str, tmp_path: Path):
    one = trial(source, **LEARNED, lr=0.02, max_epochs=300, check_every=1, width=16)
    (row,) = run(one, points=6)
    assert row["status"] == "ok", row["failure_message"]
    assert (row["family"], row["isoperimetry"]) == ("gpt-learned", "outside")
    assert row["below_noise"] and row["below_bayes_error"], "the noise condition is met as such"
    assert (row["n"], row["d_ambient"]) == (60, 8 * 16)
    assert row["p_over_nd_ambient"] == row["p"] / (60 * 8 * 16)
    assert 0 < row["stability_attack_mean"] <= row["stability_cap"]
    assert {change["kind"] for change in row["token_changes"]} == {"replaced", "swapped", "typo"}

    table = safetensors.torch.load(row["weights"])["body.wte.weight"]
    data = TASK.data(TextConfig.model_validate(one.config), Seeds(0))
    x = table[torch.cat([data.x_train, data.x_test]).long()].flatten(1)
    assert row["data_unit"] == pytest.approx(float((x - x.mean(0)).norm(dim=1).mean()), rel=1e-5)

    (tmp_path / one.trial_id).write_bytes(row["weights"])
    settings = RunSettings(1, 0, 600, 0, 6, None, trained=str(tmp_path / "{}"))
    again = SampleTrials(settings, torch.device("cpu"))
    (measured,) = again.measure_again((one,), str(tmp_path / "{}"))
    for name in ("stability_attack_mean", "data_unit", "test_loss", "training_radius"):
        assert measured.columns[name] == pytest.approx(row[name], rel=1e-6), name


@pytest.mark.slow
def test_a_stack_trains_as_each_alone(source: str):
    trials = tuple(
        trial(
            source, **LEARNED, width=width, lr=lr, n=64, batch_size=16, stop="epochs", max_epochs=4
        )
        for width, lr in ((16, 0.01), (16, 0.003))
    )
    for stacked, alone in zip(run(trials), run(*trials), strict=True):
        assert (stacked["stack_size"], stacked["stack_note"]) == (2, None)
        assert stacked["train_loss"] == pytest.approx(alone["train_loss"], rel=1e-5)
        assert stacked["test_loss"] == pytest.approx(alone["test_loss"], rel=1e-5)


@pytest.mark.slow
def test_the_check_of_a_task_knows_both_faces_of_the_model(source: str):
    """`unilaw check` calls the model with what the instruments give it."""
    tried = Tried(TaskRef("text"))
    tried.config = config_of(source, **LEARNED)
    tried.data, tried.model = TASK.data(tried.config, Seeds(0)), TASK.model(tried.config)
    by_name = {one.name: one for one in CHECKS}
    assert by_name["output"].run(tried) == "(8, 256) for 8 inputs, all finite"


def test_a_trial_without_it_is_what_it_was(source: str):
    plain = config_of(source).plain()
    assert "table" not in plain and plain["d_in"] == 4
    given = config_of(source, **LEARNED)
    assert "d_in" not in given.plain() and given.plain()["table"] == "learned"
    assert "d_in" not in given.settings()
    again = trial(source, **LEARNED).load_config()
    assert isinstance(again, TextConfig) and again.table == "learned"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a length of the random embedding": (
        dict(d_in=4),
        "'d_in' is 4 and belongs to a random embedding; with table 'learned' a token is 'width'",
    ),
    "a search": (
        dict(frontier="adversary"),
        "frontier 'adversary' moves inputs, and with table 'learned' the model moves them as well",
    ),
    "an adversary": (
        dict(adversary="fgsm", adversary_radius=0.1),
        "adversary 'fgsm' moves inputs",
    ),
    "another architecture": (
        dict(architecture="llama"),
        "table 'learned' is GPT-2's; leave out architecture 'llama'",
    ),
}


@pytest.mark.parametrize(("given", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_named(source: str, given: dict[str, Any], sentence: str):
    with pytest.raises(UserError, match=sentence):
        sweep(source, **LEARNED, **given)
