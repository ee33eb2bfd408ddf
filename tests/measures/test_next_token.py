"""Held-out figures of language models: on streams of known entropy, by hand, and with standard
errors checked over fresh streams.

Run alone: python -m pytest tests/measures/test_next_token.py
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.language import Corpus
from harness.measures import next_token as instrument
from harness.measures.calibration import calibration
from harness.measures.next_token import HeldOut, held_out
from tests.measures.token_models import Bigram, tiny_gpt2


def corpus(
    stream: np.ndarray | list[int], vocabulary: int, held_out_bytes: int = 1, separator: int = 0
) -> Corpus:
    tokens = np.asarray(stream, dtype=np.uint16)
    return Corpus(tokens[:0], tokens, vocabulary, separator, held_out_bytes, "")


def two_moods() -> np.ndarray:
    """Return transitions of ten tokens with two moods, each of which lasts for about ten tokens: 0
    and 1 follow each other, 2 … 9 come in any order."""
    p = np.zeros((10, 10))
    p[0, 1] = p[1, 0] = 0.9
    p[:2, 2:] = 0.1 / 8
    p[2:, 2:], p[2:, :2] = 0.9 / 8, 0.05
    return p


TRANSITIONS = two_moods()
STATIONARY = np.array([0.25] * 2 + [0.5 / 8] * 8)
SURE = torch.tensor(TRANSITIONS).clamp(min=1e-9).log().float()
"""Logits of the transitions themselves."""


def streams(count: int, length: int, seed: int) -> np.ndarray:
    """Return (count, length) independent runs of the chain."""
    draw = np.random.default_rng(seed)
    cumulative = TRANSITIONS.cumsum(1)
    tokens = np.empty((count, length), dtype=np.int64)
    tokens[:, 0] = draw.choice(10, count, p=STATIONARY)
    for t in range(1, length):
        tokens[:, t] = (
            (cumulative[tokens[:, t - 1]] < draw.random(count)[:, None]).sum(1).clip(max=9)
        )
    return tokens


def judged(
    model: nn.Module,
    stream: np.ndarray | list[int],
    vocabulary: int,
    context: int = 16,
    most_tokens: int = 10**9,
) -> HeldOut:
    return held_out(model, corpus(stream, vocabulary), context, most_tokens, "cpu")


# Known figures


@pytest.mark.slow
def test_the_loss_of_the_true_transitions_is_the_entropy_rate():
    np.testing.assert_allclose(STATIONARY @ TRANSITIONS, STATIONARY, atol=1e-12)
    found = judged(Bigram(SURE), streams(1, 40_001, seed=0)[0], 10, context=50)
    logs = np.log(np.where(TRANSITIONS > 0, TRANSITIONS, 1.0))
    entropy = -float(STATIONARY @ (TRANSITIONS * logs).sum(1))
    brier = 1 - float(STATIONARY @ np.square(TRANSITIONS).sum(1))

    assert found.tokens == 40_000
    assert found.loss == pytest.approx(entropy, abs=3 * found.loss_se) and found.loss_se < 0.02
    assert found.accuracy == pytest.approx(
        float(STATIONARY @ TRANSITIONS.max(1)), abs=3 * found.accuracy_se
    )
    assert found.brier == pytest.approx(brier, abs=3 * found.brier_se)
    assert found.ece < 0.01


@pytest.mark.parametrize("vocabulary", [2, 256, 5000])
def test_a_uniform_model_has_the_logarithm_of_its_vocabulary(vocabulary: int):
    class Uniform(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            return torch.full((*tokens.shape, vocabulary), 7.0)

    found = judged(Uniform(), [0, 1] * 40, vocabulary)
    assert found.loss == pytest.approx(math.log(vocabulary), rel=1e-5)
    assert (found.loss_se, found.brier_se) == pytest.approx((0, 0), abs=1e-6)
    assert found.brier == pytest.approx(1 - 1 / vocabulary, rel=1e-5)
    # of equal probabilities the first token counts as predicted
    assert found.accuracy == pytest.approx(0.5, abs=0.01)
    assert found.ece == pytest.approx(abs(found.accuracy - 1 / vocabulary), rel=1e-4, abs=1e-6)


def test_bits_per_byte_by_hand():
    """Documents of 5 and 3 tokens are 20 bytes long. A model that is uniform over eight tokens
    needs 3 bits · 8/20."""
    stream = [1, 2, 3, 4, 5, 0, 6, 7, 1, 0]
    found = held_out(
        Bigram(torch.zeros(8, 8)), corpus(stream, 8, held_out_bytes=20), 3, 10**9, "cpu"
    )
    assert found.bits_per_byte == pytest.approx(3 * 8 / 20)


def test_figures_of_a_short_stream_by_hand():
    """Tokens 0 1 | 1 0 in windows of one. The next tokens have probabilities .8, .3, .4, the most
    probable ones .8, .7, .7."""
    logits = torch.tensor([[0.2, 0.8], [0.7, 0.3]]).log()
    found = judged(Bigram(logits), [0, 1, 1, 0], 2, context=1)
    losses, briers = (
        [-math.log(p) for p in (0.8, 0.3, 0.7)],
        [2 * (1 - p) ** 2 for p in (0.8, 0.3, 0.7)],
    )

    for mean, se, values in (
        (found.loss, found.loss_se, losses),
        (found.brier, found.brier_se, briers),
        (found.accuracy, found.accuracy_se, [1, 0, 1]),
    ):
        expected = torch.tensor(values, dtype=torch.double)
        assert (mean, se) == pytest.approx(
            (float(expected.mean()), float(expected.std()) / math.sqrt(3)), rel=1e-5
        )
    assert found.ece == pytest.approx((abs(1 - 0.8) + abs(1 - 1.4)) / 3, rel=1e-5)


@pytest.mark.parametrize("context", [1, 10])
def test_calibration_agrees_with_that_of_classifiers(context: int):
    stream = streams(1, 1001, seed=1)[0]
    torch.manual_seed(0)
    model = Bigram(3 * torch.randn(10, 10))
    found = judged(model, stream, 10, context=context)
    (plain,) = calibration(
        model.logits[torch.tensor(stream[:-1])][None], torch.tensor(stream[1:]), 10
    )

    assert plain.nll is not None and plain.nll_se is not None
    assert (found.loss, found.ece, found.brier) == pytest.approx(
        (plain.nll, plain.ece, plain.brier), rel=1e-5
    )

    if context == 1:
        assert (found.loss_se, found.brier_se) == pytest.approx(
            (plain.nll_se, plain.brier_se), rel=1e-5
        )
        assert found.ece_se == pytest.approx(plain.ece_se, rel=0.2)


@pytest.mark.parametrize("windows", [1, 3])
def test_the_loss_is_that_of_transformers(windows: int):
    """The loss that transformers gives for 17 tokens is over the last 16. Dropout is in the model
    and not in the figures."""
    model, stream = (
        tiny_gpt2(37, 17),
        torch.randint(37, (16 * windows + 1,), generator=torch.Generator().manual_seed(1)),
    )
    found = judged(model, stream.numpy(), 37, context=16)
    cut = stream.unfold(0, 17, 16)

    with torch.no_grad():
        own = float(model.transformer(input_ids=cut, labels=cut).loss)
        assert float(model.train().transformer(input_ids=cut, labels=cut).loss) != pytest.approx(
            own, rel=1e-3
        )

    assert found.loss == pytest.approx(own, rel=1e-5) and found.loss > 3
    assert found.tokens == 16 * windows and math.isnan(found.loss_se) == (windows == 1)


# Windows


@pytest.mark.parametrize(
    ("length", "context", "targets"), [(81, 8, 80), (88, 8, 80), (89, 8, 88), (3, 8, 2), (2, 1, 1)]
)
def test_every_token_but_the_first_is_a_target_once(length: int, context: int, targets: int):
    """The model predicts counting modulo 11 with certainty, so a window that began or ended
    elsewhere would show."""
    stream = np.arange(length) % 11
    model = Bigram(50 * torch.eye(11).roll(1, 1))
    found = judged(model, stream, 11, context=context)
    read = torch.cat([tokens.flatten() for tokens in model.seen])

    assert read.tolist() == stream[:targets].tolist()
    assert (found.tokens, found.accuracy, found.loss) == (
        targets,
        1.0,
        pytest.approx(0.0, abs=1e-6),
    )
    assert math.isnan(found.loss_se) == (targets <= context)


@pytest.mark.parametrize(
    ("most_tokens", "begins"),
    [
        (1, [0]),
        (8, [0]),
        (15, [0]),
        (16, [0, 40]),
        (24, [0, 24, 48]),
        (79, list(range(0, 72, 8))),
        (80, list(range(0, 80, 8))),
    ],
)
def test_too_many_windows_are_thinned_evenly(most_tokens: int, begins: list[int]):
    model = Bigram(torch.zeros(100, 100))
    found = judged(model, np.arange(81), 100, context=8, most_tokens=most_tokens)
    assert torch.cat(model.seen)[:, 0].tolist() == begins
    assert found.tokens == 8 * len(begins)


def test_a_memory_mapped_stream_of_either_width(tmp_path):
    for dtype in (np.uint16, np.uint32):
        path = tmp_path / f"{dtype.__name__}.bin"
        (np.arange(41) % 11).astype(dtype).tofile(path)
        mapped = corpus([], 11)._replace(held_out=np.memmap(path, dtype=dtype, mode="r"))
        assert (
            held_out(Bigram(50 * torch.eye(11).roll(1, 1)), mapped, 8, 10**9, "cpu").accuracy == 1.0
        )


@pytest.mark.slow
def test_figures_do_not_depend_on_how_much_is_held_at_once(monkeypatch):
    stream = streams(1, 1501, seed=2)[0]
    whole = judged(Bigram(SURE), stream, 10, context=30)
    for positions, numbers in ((1, 1), (70, 130)):
        monkeypatch.setattr(instrument, "POSITIONS", positions)
        monkeypatch.setattr(instrument, "NUMBERS", numbers)
        model = Bigram(SURE)
        assert judged(model, stream, 10, context=30) == pytest.approx(whole, rel=1e-6)
        assert max(tokens.numel() for tokens in model.seen) == max(positions // 30, 1) * 30


# Standard errors

REPEATS = 200
"""Fresh streams behind an empirical standard deviation, which is then known to within 5 %."""


@pytest.mark.slow
def test_standard_errors_hold_for_correlated_tokens():
    """95 % intervals cover the entropy rate, and standard errors equal the spread over fresh
    streams, also for an over-confident model. Treating tokens as independent would give less than
    half."""
    runs = streams(REPEATS, 60 * 64 + 1, seed=3)
    found = [judged(Bigram(SURE), run, 10, context=64) for run in runs]
    logs = np.log(np.where(TRANSITIONS > 0, TRANSITIONS, 1.0))
    entropy = -float(STATIONARY @ (TRANSITIONS * logs).sum(1))
    covered = sum(abs(f.loss - entropy) <= 1.96 * f.loss_se for f in found) / REPEATS

    assert 0.95 - 3 * math.sqrt(0.95 * 0.05 / REPEATS) <= covered <= 0.99
    sharp = [judged(Bigram(2 * SURE), run, 10, context=64) for run in runs]
    for group, names in ((found, ("loss", "brier", "accuracy")), (sharp, ("loss", "ece"))):
        for name in names:
            values, errors = (
                np.array([getattr(f, column) for f in group]) for column in (name, f"{name}_se")
            )
            assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.15), name

    losses = -logs[runs[0, :-1], runs[0, 1:]]
    assert losses.std() / math.sqrt(losses.size) < found[0].loss_se / 2
