"""Which windows of text are drawn, with which targets."""

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.planning.model_shape import shape_of
from harness.sweeps.registry import TaskRef
from harness.task import Seeds, check
from tasks.corpora import load_corpus
from tasks.text import HELD_OUT, token_table
from tests.tasks.random_texts import write_texts
from tests.tasks.text.window_trials import TASK, config_of, data_of, tokens_of, trial

# What is drawn


@pytest.mark.parametrize(("context", "d_in"), [(6, 2), (8, 4), (16, 8)])
@pytest.mark.parametrize(("tokenizer", "vocabulary"), [("bytes", 256), ("bpe-300", 300)])
def test_the_contract(source: str, tokenizer: str, vocabulary: int, context: int, d_in: int):
    config = config_of(source, tokenizer=tokenizer, context=context, d_in=d_in)
    data, (inputs, width) = TASK.data(config, Seeds(0)), TASK.input_shape(config)
    check(data, (context, d_in), config.n)
    assert (
        (inputs, width) == (context, d_in)
        and TASK.d_ambient(config) == context * d_in
        and TASK.tokens_distinct(config) == 60
    )
    assert data.x_train.shape == (60, context, d_in) and data.x_test.shape == (
        HELD_OUT,
        context,
        d_in,
    )
    assert data.classes == vocabulary and data.noise.kind == "target_resample"
    assert (
        data.noise.level == data.noise.bayes_error == pytest.approx(0.3 * (1 - 1 / vocabulary))
        and data.noise.sigma2 is None
    )
    assert data.text is not None and data.text.byte_tokens == (tokenizer == "bytes")
    assert data.text.tokens.dtype == torch.int64 and data.text.table.shape == (vocabulary, d_in)
    assert torch.equal(data.x_test, data.text.table[data.text.tokens])
    assert TASK.model(config)(data.x_train[:3]).shape == (3, vocabulary)
    shape = shape_of(TaskRef("text"), config)
    assert (shape.input_shape, shape.outputs, shape.p_frozen) == ((context, d_in), vocabulary, 0)


def pieces(source: str, context: int) -> dict[str, set[bytes]]:
    """Windows of context + 1 bytes of the documents of either side, each document cut from its
    beginning."""
    corpus, found = load_corpus(source, "bytes"), {}
    for side, stream in (("train", corpus.train), ("held_out", corpus.held_out)):
        texts = stream.astype("uint8").tobytes().split(b"\0")[:-1]
        size = context + 1
        found[side] = {
            text[i : i + size] for text in texts for i in range(0, len(text) - size + 1, size)
        }
    return found


@pytest.mark.parametrize("context", [7, 8, 16])
def test_windows_lie_within_documents_of_their_side_and_the_target_follows(
    source: str, context: int
):
    data, there = (
        data_of(source, context=context, n=400, target_resample=0.0, stop="epochs"),
        pieces(source, context),
    )
    assert data.noise.kind == "none" and data.noise.level == 0.0
    for x, y, side in (
        (data.x_train, data.y_train, "train"),
        (data.x_test, data.y_test, "held_out"),
    ):
        windows = torch.cat([tokens_of(x), y[:, None]], dim=1)
        assert {bytes(w) for w in windows.tolist()} <= there[side]
        assert len(windows[:, :-1].unique(dim=0)) == len(windows), (
            "one input with two targets could never be fitted"
        )
    assert len(there["held_out"] - there["train"]) > 100, "the sides can be told apart"


@pytest.mark.parametrize("smaller", [10, 33, 399])
def test_windows_are_nested_in_n(source: str, smaller: int):
    few, many = (data_of(source, n=n, target_resample=0.0, stop="epochs") for n in (smaller, 400))
    assert torch.equal(few.x_train, many.x_train[:smaller]) and torch.equal(
        few.y_train, many.y_train[:smaller]
    )
    assert torch.equal(few.x_test, many.x_test) and torch.equal(few.y_test, many.y_test)


def test_seeds_draw_other_windows_and_other_noise_of_the_same_text_and_table(source: str):
    one, other = data_of(source), data_of(source, seed=1)
    assert (
        not torch.equal(one.x_train, other.x_train)
        and torch.equal(one.x_test, other.x_test)
        and torch.equal(one.y_test, other.y_test)
    )
    assert (
        one.text is not None
        and other.text is not None
        and torch.equal(one.text.table, other.text.table)
    )
    assert one.content_hash() == data_of(source).content_hash() != other.content_hash()


@pytest.mark.parametrize(
    "size", [dict(width=16), dict(layers=3), dict(heads=4), dict(lr=0.1), dict(batch_size=7)]
)
def test_models_of_every_size_see_the_same(source: str, size: dict[str, Any]):
    assert data_of(source, **size).content_hash() == data_of(source).content_hash()


@pytest.mark.parametrize("eta", [0.1, 0.5, 1.0])
def test_as_many_targets_are_redrawn_as_the_noise_says(source: str, eta: float):
    clean, noisy = (
        data_of(source, n=2000, target_resample=0.0, stop="epochs"),
        data_of(source, n=2000, target_resample=eta),
    )
    assert torch.equal(clean.x_train, noisy.x_train) and torch.equal(clean.y_test, noisy.y_test)
    wrong = float((clean.y_train != noisy.y_train).float().mean())
    assert wrong == pytest.approx(noisy.noise.bayes_error, abs=4 * (eta / 2000) ** 0.5)
    redrawn = noisy.y_train[clean.y_train != noisy.y_train]
    assert len(redrawn.unique()) > 60 and int(redrawn.max()) > 200, (
        "from the whole vocabulary, not from the 28 bytes of the text"
    )


@pytest.mark.parametrize("d_in", [1, 8, 64])
def test_the_table_is_fixed_and_its_rows_have_mean_square_1(d_in: int):
    table = token_table(256, d_in)
    assert torch.equal(table, token_table(256, d_in)) and not table.requires_grad
    assert float(table.square().sum(1).mean()) == pytest.approx(
        1.0, abs=4 * (2 / 256 / d_in) ** 0.5
    )
    assert len(table.unique(dim=0)) == 256


def test_the_data_are_part_of_the_trials_identity_and_their_place_is_not(
    source: str, tmp_path: Path
):
    elsewhere, other = write_texts(tmp_path / "same"), write_texts(tmp_path / "other", words=1401)
    first, same, different = (trial(at) for at in (source, elsewhere, other))
    assert first.trial_id == same.trial_id != different.trial_id
