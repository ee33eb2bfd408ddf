"""GPT-2 from scratch on a stream of text: its sizes, what is refused, and what a plan and a row
say of it.

Run alone: python -m pytest tests/tasks/test_text_stream.py
"""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from harness.errors import UserError
from harness.language import CausalLM
from harness.measures.counts import count_parameters
from harness.planning.model_shape import shape_of
from harness.planning.plan import plan
from harness.sweeps.registry import TaskRef
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Trial
from tasks.gpt import size_of_depth
from tasks.text_stream import TextStream, TextStreamConfig
from tests.tasks.inline_trials import run
from tests.tasks.random_texts import write_texts

TASK = TextStream()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_texts(tmp_path_factory.mktemp("texts"), documents=40, words=200)


def made(**given: Any) -> TextStreamConfig:
    return TextStreamConfig(**{"depth": 1, "context": 16, "n": 64, **given})


def sweep(source: str, grid: str = "{}", seed: int = 0, **fixed: Any) -> Sweep:
    usual = {"n": 64, "context": 16, "depth": 1, "batch_size": 8}
    fixed = {
        **{name: value for name, value in usual.items() if f"{name}:" not in grid},
        **fixed,
        "source": source,
    }
    return parse_sweep(
        f"name: a\nseeds: [{seed}]\ntasks:\n  - task: text-stream\n    fixed: {fixed}\n    grid:"
        f" {grid}\n",
        "sweep.yaml",
        {},
    )


def trial(source: str, seed: int = 0, **fixed: Any) -> Trial:
    return sweep(source, seed=seed, **fixed).trials[0]


# Sizes


@pytest.mark.parametrize(
    ("given", "width", "heads"),
    [
        (dict(depth=1), 16, 2),
        (dict(depth=8), 256, 4),
        (dict(depth=2, width=24), 24, 4),
        (dict(depth=2, heads=8), 32, 8),
        (dict(depth=3, width=30, heads=5), 30, 5),
    ],
)
def test_the_dial_and_what_is_given_in_its_place(given: dict[str, Any], width: int, heads: int):
    config = made(**given)
    assert (
        config.shape == (width, heads)
        and TASK.width(config) == width
        and TASK.d_ambient(config) == 16 * width
    )
    with torch.device("meta"):
        model = TASK.model(config)
    assert model.table().shape == (256, width)
    assert (model.transformer.config.n_layer, model.transformer.config.n_head) == (
        given["depth"],
        heads,
    )


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(
    "given", [dict(depth=1), dict(depth=4, context=32), dict(depth=2, width=64, heads=2)]
)
def test_parameters_by_group(given: dict[str, Any], tied: bool):
    config = made(tied=tied, **given)
    width, layers = config.shape[0], config.depth
    with torch.device("meta"):
        counts = count_parameters(TASK.model(config))
    groups = {group.group: group.trainable for group in counts.groups}
    assert groups == {
        "embedding": 256 * width,
        "position": config.context * width,
        "norm": (2 * layers + 1) * 2 * width,
        "attention": layers * 4 * (width + 1) * width,
        "mlp": layers * (8 * width**2 + 5 * width),
        **({} if tied else {"head": 256 * width}),
    }
    assert sum(groups.values()) == counts.trainable and counts.frozen == 0


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width", "within"), [(4, 512, 0.03), (8, 1024, 0.02)])
def test_flops_are_near_six_per_parameter_and_token(depth: int, width: int, within: float):
    """Of matmuls alone, which attention's own add to: tied, so that the embedding's parameters
    are the head's."""
    shape = shape_of(TaskRef("text-stream"), made(depth=depth, width=width, heads=8, context=32))
    assert shape.flops_per_sample == pytest.approx(6 * shape.p * 32, rel=within)


def test_fields_of_size_are_left_out_of_the_settings():
    settings = made(depth=2, width=64, heads=2).settings()
    assert (
        not {"depth", "width", "heads", "source"} & settings.keys()
        and {"n", "context", "tied", "lr"} <= settings.keys()
    )


# What is refused

REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "heads that do not divide the width": (
        dict(width=30, heads=4),
        ["'heads' is 4 and must divide 'width', 30"],
    ),
    "heads that do not divide the dial's width": (
        dict(depth=2, heads=5),
        ["'heads' is 5 and must divide 'width', 32"],
    ),
    "no window": (dict(n=0), ["'n' and 'max_epochs' must be above 0"]),
    "no epoch": (dict(max_epochs=0), ["'n' and 'max_epochs' must be above 0"]),
    "another end": (dict(stop="noise"), ["stop", "noise", "epochs"]),
    "one token": (dict(context=1), ["context", "1", "2"]),
    "micro-batches that do not divide": (
        dict(batch_size=8, micro_batch=3),
        ["'micro_batch' is 3 and must divide the 8 windows"],
    ),
    "a frontier": (dict(frontier="adversary"), ["frontier 'adversary' needs real-valued inputs"]),
    "an adversary": (
        dict(adversary="fgsm", adversary_radius=0.1),
        ["adversary 'fgsm' moves real-valued inputs"],
    ),
    "a share of all": (dict(dropout=1.0), ["dropout", "1"]),
    "an unknown tokenizer": (dict(tokenizer="word"), ["tokenizer", "'word'", "'bytes'"]),
    "an unknown precision": (dict(precision="half"), ["precision", "half", "bfloat16"]),
    "no depth": (dict(depth=0), ["depth", "0", "1"]),
}


@pytest.mark.slow
@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_named(source: str, given: dict[str, Any], words: list[str]):
    with pytest.raises(UserError) as refused:
        sweep(source, **given)
    said = str(refused.value)
    assert all(word in said for word in words) and "\n" not in said, said


def test_too_few_windows_are_refused_at_the_line_of_the_source(source: str):
    with pytest.raises(
        UserError, match=r"^sweep.yaml:5: .* training windows of 16 tokens, and n is 10,000$"
    ):
        trial(source, n=10_000)


# Plans and rows


@pytest.mark.slow
def test_a_plan_costs_every_cell(source: str):
    found = plan(sweep(source, grid="{depth: [1, 2], n: [32, 64], max_epochs: [1, 3]}"), print)
    assert (found.trials, found.stacks) == (8, 0), "language models train alone"
    for cell in found.cells:
        width, _ = size_of_depth(cell.config["depth"])
        tokens = cell.config["n"] * 16
        assert (cell.n, cell.tokens_distinct, cell.d_ambient) == (
            cell.config["n"],
            tokens,
            16 * width,
        )
        assert (
            cell.tokens_seen_at_most == tokens * cell.config["max_epochs"]
            and cell.params_per_token == cell.p / tokens
        )
        assert cell.steps_at_most == cell.n // 8 * cell.config["max_epochs"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        dict(),
        dict(tied=False),
        dict(max_epochs=2, dropout=0.1),
        dict(micro_batch=4),
        dict(tokenizer="bpe-300"),
    ],
)
def test_a_row_agrees_with_itself(source: str, given: dict[str, Any]):
    asked = trial(source, **given)
    (c,) = run(asked)
    assert c["status"] == "ok", c["failure_message"]
    epochs, vocabulary = given.get("max_epochs", 1), 300 if "tokenizer" in given else 256
    assert (c["family"], c["n"], c["d_ambient"], c["outputs"]) == (
        "gpt-stream",
        64,
        16 * 16,
        vocabulary,
    )
    assert (c["tokens_distinct"], c["tokens_seen"], c["epochs"], c["steps"]) == (
        1024,
        1024 * epochs,
        epochs,
        8 * epochs,
    )
    model = TASK.model(TextStreamConfig.model_validate(asked.config))
    model.load_state_dict(safetensors.torch.load(c["weights"]))
    assert (
        c["p"]
        == model.transformer.num_parameters()
        == sum(group["trainable"] for group in c["params_by_group"])
    )
    assert any(group["group"] == "head" for group in c["params_by_group"]) == (
        given.get("tied") is False
    )
    assert c["params_per_token"] == c["p"] / 1024 and c["p_over_nd_ambient"] == pytest.approx(
        c["p"] / (1024 * 16)
    )
    assert c["flops_6nd"] == 6 * c["p"] * c["tokens_seen"]
    assert c["flops"] == shape_of(asked.ref, asked.load_config()).flops_per_sample * 64 * epochs
    assert [point["tokens"] for point in c["loss_curve"]] == [
        128 * step for step in range(1, 8 * epochs + 1)
    ]
    assert (
        c["train_loss"] == pytest.approx(c["loss_curve"][-1]["loss"], rel=0.05)
        and c["test_loss"] == c["nll"]
    )
    tokens_per_byte = TASK.corpus(asked.load_config()).tokens_per_byte  # pyright: ignore[reportArgumentType]
    assert c["bits_per_byte"] == pytest.approx(
        c["test_loss"] / torch.tensor(2.0).log().item() * tokens_per_byte, rel=1e-6
    )
    assert (tokens_per_byte == 1.0) == (vocabulary == 256) and 0 < tokens_per_byte <= 1
    assert (c["stop_reason"], c["below_noise"], c["noise_kind"], c["resumed_step"]) == (
        "epoch_cap",
        False,
        "none",
        None,
    )


@pytest.mark.slow
def test_same_seed_same_columns_bit_for_bit(source: str):
    first, again, other = (run(trial(source, seed, dropout=0.1))[0] for seed in (0, 0, 1))
    assert first["weights"] == again["weights"] != other["weights"]
    for name in (
        "train_loss",
        "test_loss",
        "loss_curve",
        "ece",
        "brier",
        "test_loss_se",
        "data_hash",
    ):
        assert first[name] == again[name], name
    assert first["train_loss"] != other["train_loss"] and first["data_hash"] == other["data_hash"]


@pytest.mark.slow
def test_a_model_learns_the_text(source: str):
    (columns,) = run(trial(source, n=1000, max_epochs=3, lr=0.01))
    assert columns["test_loss"] < 3.2 < 5.0 < columns["loss_curve"][0]["loss"], (
        "28 letters, each with its own share"
    )


def test_the_data_are_part_of_the_trials_identity_and_their_place_is_not(
    source: str, tmp_path: Path
):
    elsewhere = write_texts(tmp_path / "same", documents=40, words=200)
    other = write_texts(tmp_path / "other", documents=40, words=201)
    assert trial(source).trial_id == trial(elsewhere).trial_id != trial(other).trial_id


def test_the_model_is_one_of_tokens():
    with torch.device("meta"):
        assert isinstance(TASK.model(made()), CausalLM)
