"""Training a language model: its figures, and how it fails.

Run alone: python -m pytest tests/training/test_language_loop.py
"""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import TrialFailure
from harness.task import Seeds
from harness.training.language_batches import training_windows
from harness.training.language_loop import CURVE_POINTS
from tests.training.small_language_models import (
    CONTEXT,
    VOCABULARY,
    Breaking,
    Recorder,
    chain,
    gpt,
    small_config,
    train,
)


class Successor(nn.Module):
    """A model that predicts token + 1 after every token; its one weight is the logit."""

    def __init__(self, sure: float = 2.0):
        super().__init__()
        self.sure = nn.Parameter(torch.tensor(sure))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.sure * F.one_hot((tokens + 1) % VOCABULARY, VOCABULARY)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "batch_size", "max_epochs"),
    [(1, 1, 1), (30, 12, 1), (95, 2, 3), (300, 1, 1), (501, 5, 1), (7, 100, 30)],
)
def test_a_fits_figures_are_those_of_its_last_steps(n: int, batch_size: int, max_epochs: int):
    """A model that hardly moves, on tokens of which it predicts four in five: every figure can be
    counted by hand."""
    config = small_config(n=n, batch_size=batch_size, max_epochs=max_epochs, lr=1e-9)
    tokens = chain(n * CONTEXT + 90)
    fit = train(Successor(), config, tokens)

    recorder = Recorder(VOCABULARY)
    train(recorder, config, tokens)
    batch_sizes = [len(batch) for batch in recorder.batches]
    assert fit.steps == len(batch_sizes)
    assert fit.curve[-1].tokens == n * CONTEXT * max_epochs
    assert fit.resumed_step is None

    # The wrong predictions in each window, in the order of training.
    windows = training_windows(tokens, CONTEXT, n)
    order = Seeds(0).generator("order")
    rows = torch.randperm(len(windows), generator=order)[:n]
    later_epochs = [rows[torch.randperm(n, generator=order)] for _ in range(max_epochs - 1)]
    seen = windows[torch.cat([rows, *later_epochs]).numpy()].astype(int)
    wrong = ((seen[:, :-1] + 1) % VOCABULARY != seen[:, 1:]).sum(1)

    last_steps = math.ceil(len(batch_sizes) / 10)
    last = sum(batch_sizes[-last_steps:])
    assert fit.error == wrong[-last:].sum() / (last * CONTEXT)
    right = math.exp(2) / (math.exp(2) + VOCABULARY - 1)
    mean = -(math.log(right) * (1 - fit.error) + math.log(right / math.exp(2)) * fit.error)
    assert fit.loss == pytest.approx(mean, rel=1e-5)

    assert len(fit.curve) <= CURVE_POINTS
    assert fit.curve[-1].step == fit.steps
    apart = {b.step - a.step for a, b in zip(fit.curve, fit.curve[1:-1], strict=False)}
    assert len(apart) <= 1
    begin = 0
    for point in fit.curve:
        assert point.tokens == sum(batch_sizes[: point.step]) * CONTEXT
        share = wrong[begin : point.tokens // CONTEXT].mean() / CONTEXT
        assert point.loss == pytest.approx(-(math.log(right) - 2 * share), rel=1e-5)
        begin = point.tokens // CONTEXT


def test_the_model_ends_in_evaluation_mode():
    model = gpt(dropout=0.1).eval()
    modes = []
    model.register_forward_hook(lambda *_: modes.append(model.training))
    train(model, small_config())
    assert modes == [True] * 3
    assert not any(module.training for module in model.modules())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "micro", "number"),
    [
        (1, None, math.nan),
        (2, 1, math.nan),
        (180, None, math.inf),
        (180, 1, math.nan),
        (399, None, math.nan),
        (400, 1, math.nan),
        (400, None, math.inf),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_trial(step: int, micro: int | None, number: float):
    config = small_config(n=800, batch_size=2, micro_batch=micro)
    calls_per_step = 2 if micro else 1
    with pytest.raises(TrialFailure, match=f"the training loss is nan in step {step}$") as failure:
        train(Breaking(step * calls_per_step, number), config)
    assert failure.value.kind == "nan"


def test_a_weight_that_is_not_finite_ends_the_trial():
    class Rooted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(VOCABULARY))

        def forward(self, tokens: Tensor) -> Tensor:
            return self.weight.square().sqrt().expand(*tokens.shape, VOCABULARY)

    with pytest.raises(TrialFailure, match="a weight is not finite after the last step, 1$"):
        train(Rooted(), small_config(n=1))
