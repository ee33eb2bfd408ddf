"""Training steps of language models: the schedule is nanoGPT's, the optimizer is AdamW, and neither
micro-batches nor the compiler change the result.

Run alone: python -m pytest tests/training/test_language_steps.py
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.backends.registry import lookup_backend
from torch.nn import functional as F

from harness.language import LanguageConfig
from harness.task import Seeds
from harness.training.language_batches import training_windows
from harness.training.language_steps import learning_rate
from tests.training.small_language_models import (
    bigram,
    chain,
    gpt,
    small_config,
    train,
)

# The schedule


def nanogpt(config: LanguageConfig, step: int, warmup: int, steps: int) -> float:
    """Return the rate of `get_lr` in nanoGPT's train.py."""
    low = config.lr * config.final_lr
    if step < warmup:
        return config.lr * (step + 1) / (warmup + 1)
    ratio = (step - warmup) / (steps - warmup)
    return low + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (config.lr - low)


@pytest.mark.parametrize("final_lr", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("warmup", "in_steps"), [(0.0, 0), (0.05, 2), (0.5, 18), (1.0, 36)])
def test_the_schedule_is_nanogpts(warmup: float, in_steps: int, final_lr: float):
    # 12 steps in an epoch, the last of 8
    config = small_config(n=140, warmup=warmup, final_lr=final_lr, max_epochs=3, lr=0.02)
    for step in range(36):
        expected = nanogpt(config, step, in_steps, 36)
        assert learning_rate(config, step) == pytest.approx(expected, rel=1e-12)


def test_the_ends_of_the_schedule():
    config = small_config(n=1200, warmup=0.1, final_lr=0.1, lr=1.0)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[9] == pytest.approx(10 / 11)
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)
    assert 0.1 < rates[99] < 0.101
    assert learning_rate(config, 100) == pytest.approx(0.1)

    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


# Steps


def by_hand(
    model: nn.Module, config: LanguageConfig, tokens: np.ndarray, seed: int = 0
) -> list[float]:
    """Train the model by AdamW's formulas, and return the losses of its steps."""
    windows = torch.from_numpy(training_windows(tokens, config.context, config.n).astype(np.int64))
    order = Seeds(seed).generator("order")
    rows = torch.randperm(len(windows), generator=order)[: config.n]
    batches = list(rows.split(config.batch_size))
    for _ in range(1, config.max_epochs):
        again = rows[torch.randperm(config.n, generator=order)]
        batches += again.split(config.batch_size)

    first = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    second = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    losses = []
    for step, batch in enumerate(batches):
        x = windows[batch, :-1]
        y = windows[batch, 1:]
        loss = F.cross_entropy(model(x).transpose(1, 2), y)
        losses.append(loss.item())

        gradients = torch.autograd.grad(loss, list(model.parameters()))
        norm = sum(float(g.square().sum()) for g in gradients) ** 0.5
        shrink = min(1.0, config.clip / (norm + 1e-6))
        lr = learning_rate(config, step)
        with torch.no_grad():
            for (name, p), gradient in zip(model.named_parameters(), gradients, strict=True):
                g = gradient * shrink
                first[name] = 0.9 * first[name] + 0.1 * g
                second[name] = config.beta2 * second[name] + (1 - config.beta2) * g.square()
                if not (name.endswith("bias") or ".ln_" in name):  # embeddings decay, as in nanoGPT
                    p -= lr * config.weight_decay * p
                mean = first[name] / (1 - 0.9 ** (step + 1))
                square = second[name] / (1 - config.beta2 ** (step + 1))
                p -= lr * mean / (square.sqrt() + 1e-8)
    return losses


STEPS = {
    "a single step": dict(n=12),
    "with a loose clip": dict(clip=1e6),
    "with a tight clip": dict(clip=0.05),
    "without decay": dict(weight_decay=0.0),
    "with much decay": dict(weight_decay=5.0, lr=0.1),
    "of another beta": dict(beta2=0.5),
    "over two epochs": dict(max_epochs=2),
    "of one window": dict(n=5, batch_size=1),
    "with a batch that is all": dict(n=5, batch_size=100, max_epochs=4),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", [bigram, gpt])
@pytest.mark.parametrize("fields", STEPS.values(), ids=STEPS.keys())
def test_steps_are_those_of_adamw(fields: dict[str, Any], make: Callable[[], nn.Module]):
    config = small_config(**{"lr": 0.01, **fields})
    tokens = chain(2000)
    # In float64, because Adam magnifies a gradient that is only rounding.
    model = make().double()
    other = make().double()
    fit = train(model, config, tokens)
    losses = by_hand(other, config, tokens)

    assert fit.steps == len(losses)
    assert [point.loss for point in fit.curve] == pytest.approx(losses, rel=1e-5)
    for name, p in model.named_parameters():
        torch.testing.assert_close(other.get_parameter(name), p, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_a_chain_is_learned_to_its_entropy():
    fit = train(
        bigram(),
        small_config(n=6000, context=32, batch_size=32, lr=0.03, weight_decay=0.0),
        chain(200_000),
    )
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert fit.loss == pytest.approx(entropy, abs=0.02)
    assert fit.error == pytest.approx(0.2, abs=0.01)
    assert fit.curve[0].loss > 2 * entropy


@pytest.mark.slow
def test_gpt_learns_too():
    fit = train(gpt(), small_config(n=1500, batch_size=32, lr=0.02))
    assert fit.loss < 0.65 < 2.0 < fit.curve[0].loss


@pytest.mark.slow
@pytest.mark.parametrize("micro", [1, 3, 4, 6])
@pytest.mark.parametrize("model", [bigram, gpt])
def test_accumulated_gradients_are_those_of_the_whole_batch(
    model: Callable[[], nn.Module], micro: int
):
    """30 windows in batches of 12: the last one has 6, which micro-batches of 4 do not divide."""
    in_one = model()
    in_parts = model()
    fit = train(in_one, small_config(max_epochs=2, clip=0.5))
    fit_of_parts = train(in_parts, small_config(max_epochs=2, clip=0.5, micro_batch=micro))

    for point, other in zip(fit.curve, fit_of_parts.curve, strict=True):
        assert (point.step, point.tokens) == (other.step, other.tokens)
        assert point.loss == pytest.approx(other.loss, rel=1e-5)
    assert fit.error == fit_of_parts.error
    for name, p in in_one.named_parameters():
        torch.testing.assert_close(in_parts.get_parameter(name), p, rtol=1e-3, atol=2e-5)


# Lower precision, and compiled


@pytest.mark.slow
@pytest.mark.parametrize("model", [bigram, gpt])
def test_bfloat16_stays_close(model: Callable[[], nn.Module]):
    fields = dict(n=600, lr=0.01, max_epochs=2)
    rough = model()
    output_types = set()
    rough.register_forward_hook(lambda *call: output_types.add(call[2].dtype))
    fit = train(model(), small_config(**fields))
    rough_fit = train(rough, small_config(**fields, precision="bfloat16"))

    assert output_types == {torch.bfloat16}
    assert {p.dtype for p in rough.parameters()} == {torch.float32}
    losses = [point.loss for point in fit.curve]
    assert [point.loss for point in rough_fit.curve] == pytest.approx(losses, abs=0.02)
    assert rough_fit != fit
    assert rough_fit.loss < losses[0] / 2


# Importing torch's compiler warns.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("model", "precision"),
    [(bigram, "float32"), pytest.param(gpt, "bfloat16", marks=pytest.mark.soak)],
)
def test_compiled_training_equals_eager_training(
    model: Callable[[], nn.Module], precision: str, monkeypatch: pytest.MonkeyPatch
):
    """The model is traced and differentiated by torch's compiler, but no code is generated, for
    which g++ takes half a minute."""
    graphs = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return lookup_backend("aot_eager")(graph, inputs)

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    eager = model()
    compiled = model()
    fields = dict(max_epochs=4, precision=precision)
    fit = train(eager, small_config(**fields))
    compiled_fit = train(compiled, small_config(**fields, compiled=True))

    losses = [point.loss for point in fit.curve]
    assert [point.loss for point in compiled_fit.curve] == pytest.approx(losses, rel=1e-5)
    assert compiled_fit.error == fit.error
    # One graph for the full batches and one for the short ones, each in one piece.
    assert len(graphs) == 2
    for name, p in eager.named_parameters():
        torch.testing.assert_close(compiled.get_parameter(name), p, rtol=1e-3, atol=2e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_any_number_of_models_may_be_compiled_in_one_process(monkeypatch: pytest.MonkeyPatch):
    graphs = []
    monkeypatch.setattr(
        torch,
        "compile",
        partial(torch.compile, backend=lambda graph, _: graphs.append(graph) or graph),
    )
    for width in range(1, 11):
        train(bigram(width=width), small_config(n=12, compiled=True))
    assert len(graphs) == 10
