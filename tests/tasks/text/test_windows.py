"""Which windows of text are drawn, with which targets.

Run alone: python -m pytest tests/tasks/text/test_windows.py
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.planning.model_shape import shape_of
from harness.sweeps.registry import TaskRef
from harness.task import Seeds, check
from tasks.corpora import load_corpus
from tasks.text import token_table
from tasks.text_windows import HELD_OUT
from tests.tasks.random_texts import write_texts
from tests.tasks.text.window_trials import TASK, config_of, data_of, tokens_of, trial


@pytest.mark.slow
@pytest.mark.parametrize(("context", "d_in"), [(6, 2), (8, 4), (16, 8)])
@pytest.mark.parametrize(("tokenizer", "vocabulary"), [("bytes", 256), ("bpe-300", 300)])
def test_the_contract(source: str, tokenizer: str, vocabulary: int, context: int, d_in: int):
    config = config_of(source, tokenizer=tokenizer, context=context, d_in=d_in)
    data = TASK.data(config, Seeds(0))
    check(data, (context, d_in), config.n)
    assert TASK.input_shape(config) == (context, d_in)
    assert TASK.d_ambient(config) == context * d_in
    assert TASK.tokens_distinct(config) == 60

    assert data.x_train.shape == (60, context, d_in)
    assert data.x_test.shape == (HELD_OUT, context, d_in)
    assert data.classes == vocabulary
    assert data.noise.kind == "target_resample"
    assert data.noise.level == data.noise.bayes_error == pytest.approx(0.3 * (1 - 1 / vocabulary))
    assert data.noise.sigma2 is None

    assert data.text is not None
    assert data.text.byte_tokens == (tokenizer == "bytes")
    assert data.text.tokens.dtype == torch.int64
    assert data.text.table.shape == (vocabulary, d_in)
    assert torch.equal(data.x_test, data.text.table[data.text.tokens])

    assert TASK.model(config)(data.x_train[:3]).shape == (3, vocabulary)
    shape = shape_of(TaskRef("text"), config)
    assert (shape.input_shape, shape.outputs, shape.p_frozen) == ((context, d_in), vocabulary, 0)


def pieces(source: str, context: int) -> dict[str, set[bytes]]:
    """Return, for each side, the pieces of context + 1 bytes into which its documents are cut."""
    corpus = load_corpus(source, "bytes")
    size = context + 1
    pieces_of = {}
    for side, stream in (("train", corpus.train), ("held_out", corpus.held_out)):
        texts = stream.astype("uint8").tobytes().split(b"\0")[:-1]
        pieces_of[side] = {
            text[i : i + size] for text in texts for i in range(0, len(text) - size + 1, size)
        }
    return pieces_of


@pytest.mark.parametrize("context", [7, 8, 16])
def test_windows_lie_within_documents_of_their_side_and_the_target_follows(
    source: str, context: int
):
    data = data_of(source, context=context, n=400, target_resample=0.0, stop="epochs")
    pieces_of = pieces(source, context)
    assert data.noise.kind == "none"
    assert data.noise.level == 0.0
    for x, y, side in (
        (data.x_train, data.y_train, "train"),
        (data.x_test, data.y_test, "held_out"),
    ):
        windows = torch.cat([tokens_of(x), y[:, None]], dim=1)
        assert {bytes(w) for w in windows.tolist()} <= pieces_of[side]
        assert len(windows[:, :-1].unique(dim=0)) == len(windows), (
            "one input with two targets could never be fitted"
        )
    assert len(pieces_of["held_out"] - pieces_of["train"]) > 100, "the sides can be told apart"


@pytest.mark.parametrize("smaller", [10, 33, 399])
def test_windows_are_nested_in_n(source: str, smaller: int):
    few = data_of(source, n=smaller, target_resample=0.0, stop="epochs")
    many = data_of(source, n=400, target_resample=0.0, stop="epochs")
    assert torch.equal(few.x_train, many.x_train[:smaller])
    assert torch.equal(few.y_train, many.y_train[:smaller])
    assert torch.equal(few.x_test, many.x_test)
    assert torch.equal(few.y_test, many.y_test)


def test_seeds_draw_other_windows_and_other_noise_of_the_same_text_and_table(source: str):
    one = data_of(source)
    other = data_of(source, seed=1)
    assert not torch.equal(one.x_train, other.x_train)
    assert torch.equal(one.x_test, other.x_test)
    assert torch.equal(one.y_test, other.y_test)
    assert one.text is not None and other.text is not None
    assert torch.equal(one.text.table, other.text.table)
    assert one.content_hash() == data_of(source).content_hash() != other.content_hash()


@pytest.mark.parametrize(
    "size", [dict(width=16), dict(layers=3), dict(heads=4), dict(lr=0.1), dict(batch_size=7)]
)
def test_models_of_every_size_see_the_same(source: str, size: dict[str, Any]):
    assert data_of(source, **size).content_hash() == data_of(source).content_hash()


@pytest.mark.parametrize("eta", [0.1, 0.5, 1.0])
def test_as_many_targets_are_redrawn_as_the_noise_says(source: str, eta: float):
    clean = data_of(source, n=2000, target_resample=0.0, stop="epochs")
    noisy = data_of(source, n=2000, target_resample=eta)
    assert torch.equal(clean.x_train, noisy.x_train)
    assert torch.equal(clean.y_test, noisy.y_test)

    is_wrong = clean.y_train != noisy.y_train
    wrong_share = float(is_wrong.float().mean())
    assert wrong_share == pytest.approx(noisy.noise.bayes_error, abs=4 * (eta / 2000) ** 0.5)
    # Redrawn from the whole vocabulary, not from the 28 bytes of the text.
    redrawn = noisy.y_train[is_wrong]
    assert len(redrawn.unique()) > 60
    assert int(redrawn.max()) > 200


@pytest.mark.parametrize("d_in", [1, 8, 64])
def test_the_table_is_fixed_and_its_rows_have_mean_square_1(d_in: int):
    table = token_table(256, d_in)
    assert torch.equal(table, token_table(256, d_in))
    assert not table.requires_grad
    mean_square = float(table.square().sum(1).mean())
    assert mean_square == pytest.approx(1.0, abs=4 * (2 / 256 / d_in) ** 0.5)
    assert len(table.unique(dim=0)) == 256


def test_the_data_are_part_of_the_trials_identity_and_their_place_is_not(
    source: str, tmp_path: Path
):
    trial_id = trial(source).trial_id
    elsewhere = write_texts(tmp_path / "same")
    other_text = write_texts(tmp_path / "other", words=1401)
    assert trial(elsewhere).trial_id == trial_id
    assert trial(other_text).trial_id != trial_id
