"""GPT-2 of any size: the function it is, its initial weights, and its derivatives.

Run alone: python -m pytest tests/tasks/test_gpt.py
"""

import copy
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.func import jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import GPT2LMHeadModel

from harness.language import CausalLM
from harness.training.stack import VmapStack, stack
from tasks.gpt import WindowGPT, stream_gpt
from tests.tasks.small_gpts import (
    CONTEXT,
    HEADS,
    LAYERS,
    VOCABULARY,
    WIDTH,
    a_stream,
    a_window,
    seeded,
    shaken,
    some_tokens,
    some_windows,
    stock_gpt2,
)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_function_is_gpt2s(tied: bool):
    ours = shaken(seeded(lambda: a_stream(tied)))
    stock = stock_gpt2(tied)
    assert isinstance(ours, CausalLM)
    stock.load_state_dict(ours.transformer.state_dict())
    logits = ours.eval()(some_tokens())
    assert logits.shape == (3, CONTEXT, VOCABULARY)
    torch.testing.assert_close(logits, stock(some_tokens()).logits, atol=2e-5, rtol=1e-5)


def test_logits_after_the_last_embedding_are_those_after_the_last_token():
    model = shaken(seeded(a_stream))
    tokens = some_tokens()
    assert isinstance(model, CausalLM)
    assert model.table().shape == (VOCABULARY, WIDTH)
    torch.testing.assert_close(model.last(model.table()[tokens]), model(tokens)[:, -1])


def test_a_window_of_one_hot_tokens_is_the_stream_model_at_its_last_position():
    stream = shaken(seeded(lambda: a_stream(tied=False)))
    tokens = some_tokens()
    window = WindowGPT(VOCABULARY, WIDTH, LAYERS, HEADS, CONTEXT, VOCABULARY)
    assert isinstance(stream, CausalLM)
    weights = {
        name.removeprefix("transformer."): p for name, p in stream.transformer.state_dict().items()
    }
    window.projection.weight.data = weights.pop("wte.weight").T
    window.head.weight.data = weights.pop("lm_head.weight")
    window.body.load_state_dict(weights)
    one_hot = nn.functional.one_hot(tokens, VOCABULARY).float()
    torch.testing.assert_close(window(one_hot), stream(tokens)[:, -1])


@pytest.mark.parametrize("changed", [0, 1, 5, CONTEXT - 1])
def test_a_token_changes_no_logits_before_it_and_all_from_it_on(changed: int):
    model = shaken(seeded(a_stream))
    tokens = some_tokens()
    other = tokens.clone()
    other[:, changed] = (other[:, changed] + 1) % VOCABULARY
    moved = (model(tokens) - model(other)).abs().amax((0, 2))
    assert not moved[:changed].any()
    assert bool((moved[changed:] > 1e-4).all())


def test_every_token_of_a_window_counts_and_no_other_window_does():
    model = shaken(seeded(a_window))
    x = some_windows().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[0].square().sum(), x)
    assert bool((gradient[0].norm(dim=1) > 1e-4).all())
    assert not gradient[1:].any()
    torch.testing.assert_close(model(x), torch.cat([model(window[None]) for window in x]))


@pytest.mark.parametrize(
    "make", [a_stream, lambda: a_stream(False), a_window], ids=["tied", "untied", "window"]
)
def test_initial_weights_are_gpt2s(make: Callable[[], nn.Module]):
    for name, p in seeded(make).named_parameters():
        if p.dim() == 1:
            is_gain = ".ln_" in name and name.endswith("weight")
            assert bool((p == (1.0 if is_gain else 0.0)).all()), name
        else:
            # Projections onto the residual stream shrink with the number of layers.
            std = 0.02 / (2 * LAYERS) ** 0.5 if name.endswith("c_proj.weight") else 0.02
            error = std / p.numel() ** 0.5
            assert abs(p.mean().item()) < 4 * error, name
            assert abs(p.std().item() - std) < 4 * error / 2**0.5, name


@pytest.mark.parametrize("make", [a_stream, a_window], ids=["stream", "window"])
def test_torchs_seed_sets_the_initial_weights(make: Callable[[], nn.Module]):
    first = list(seeded(make, 0).parameters())
    same = list(seeded(make, 0).parameters())
    other = list(seeded(make, 1).parameters())
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_every_parameter_is_used():
    for model, x in (
        (a_stream(), some_tokens()),
        (a_stream(False), some_tokens()),
        (a_window(), some_windows()),
    ):
        shaken(model)(x).square().sum().backward()
        assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_weights_go_to_safetensors_and_back(tied: bool, tmp_path):
    path = str(tmp_path / "model.safetensors")
    model = shaken(seeded(lambda: a_stream(tied)))
    other = seeded(lambda: a_stream(tied), 1)
    save_model(model, path)
    load_model(other, path)
    assert torch.equal(model(some_tokens()), other(some_tokens()))
    for each in (model, other):
        assert isinstance(each, CausalLM) and isinstance(each.transformer, GPT2LMHeadModel)
        embedding = each.transformer.get_input_embeddings().weight
        assert (each.transformer.lm_head.weight is embedding) == tied


def test_a_step_moves_tied_weights_together():
    model = seeded(a_stream)
    assert isinstance(model, CausalLM) and isinstance(model.transformer, GPT2LMHeadModel)
    before = model.table().detach().clone()
    model(some_tokens()).square().sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert not torch.equal(model.table(), before)
    assert torch.equal(model.transformer.lm_head.weight, model.table())


def of_embeddings(kind: str) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Return a model as the instruments see it, in double precision, and points."""
    if kind == "window":
        model = shaken(seeded(a_window)).double()
        return model, some_windows(2).double()
    model = shaken(seeded(a_stream)).double()
    assert isinstance(model, CausalLM)
    return model.last, model.table().detach()[some_tokens(2)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["window", "stream"])
def test_derivatives_of_both_kinds_and_of_second_order_exist_and_are_right(kind: str):
    f, x = of_embeddings(kind)
    with torch.no_grad():
        fused = f(x)
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).to(x)
    u = torch.ones_like(fused)
    with sdpa_kernel(SDPBackend.MATH):
        y, along = jvp(f, (x,), (v,))[:2]
        torch.testing.assert_close(y, fused)
        difference = (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6
        torch.testing.assert_close(along, difference, rtol=1e-5, atol=1e-6)
        (back,) = vjp(f, x)[1](u)
        torch.testing.assert_close((back * v).sum(), (along * u).sum())

        def gradient(at: Tensor) -> Tensor:
            at = at.detach().requires_grad_()
            return torch.autograd.grad(f(at).sum(), at, create_graph=True)[0]

        at = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(f(at).sum(), at, create_graph=True)
        (second,) = torch.autograd.grad((g * v).sum(), at)
        expected = (gradient(x + 1e-6 * v) - gradient(x - 1e-6 * v)) / 2e-6
        torch.testing.assert_close(second, expected.detach(), rtol=1e-4, atol=1e-5)


def test_models_of_windows_train_as_one_program():
    models = [shaken(seeded(a_window, seed)) for seed in range(3)]
    alone = [copy.deepcopy(model) for model in models]
    program = stack(models, some_windows(2))
    assert isinstance(program, VmapStack)
    outputs = program(some_windows()[None])
    gradients = torch.autograd.grad(outputs.square().sum(), list(program.parameters.values()))
    for m, model in enumerate(alone):
        own = model(some_windows())
        torch.testing.assert_close(outputs[m], own, atol=1e-5, rtol=1e-4)
        own_gradients = torch.autograd.grad(own.square().sum(), list(model.parameters()))
        for stacked, expected in zip(gradients, own_gradients, strict=True):
            torch.testing.assert_close(stacked[m], expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("dropout", "varies"), [(0.0, False), (0.3, True)])
def test_dropout_is_on_in_training_alone(dropout: float, varies: bool):
    torch.manual_seed(0)
    model = stream_gpt(LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY, dropout=dropout)
    tokens = some_tokens()
    still = model.eval()(tokens)
    assert torch.equal(still, model(tokens))
    assert torch.equal(model.train()(tokens), still) != varies
