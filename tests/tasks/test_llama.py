"""Llama on windows: the function that it computes, its size by formula, and its derivatives.

Run alone: python -m pytest tests/tasks/test_llama.py
"""

import pytest
import torch
from torch import nn
from torch.func import jacrev, jvp
from transformers import LlamaConfig, LlamaForCausalLM

from harness.measures.counts import count_parameters
from harness.training.stack import CannotStack, VmapStack, stack
from tasks.gpt import WindowGPT
from tasks.llama import WindowLlama
from tests.tasks.small_gpts import (
    CONTEXT,
    D_IN,
    HEADS,
    LAYERS,
    VOCABULARY,
    WIDTH,
    seeded,
    shaken,
    some_tokens,
    some_windows,
)


def a_llama(width: int = WIDTH, targets: int = 1) -> WindowLlama:
    return WindowLlama(D_IN, width, LAYERS, HEADS, CONTEXT, VOCABULARY, targets)


def test_a_window_of_one_hot_tokens_is_transformers_llama_at_its_last_positions():
    """The reference attends by transformers' own eager path, with its own mask."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=round(8 * WIDTH / 3),
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=CONTEXT,
    )
    config._attn_implementation = "eager"
    stock = shaken(seeded(lambda: LlamaForCausalLM(config))).eval()
    window = WindowLlama(VOCABULARY, WIDTH, LAYERS, HEADS, CONTEXT, VOCABULARY, targets=5)
    weights = {name.removeprefix("model."): p for name, p in stock.state_dict().items()}
    window.projection.weight.data = weights.pop("embed_tokens.weight").T
    window.head.weight.data = weights.pop("lm_head.weight")
    window.body.load_state_dict(weights)

    tokens = some_tokens()
    one_hot = nn.functional.one_hot(tokens, VOCABULARY).float()
    logits = stock(tokens).logits
    torch.testing.assert_close(window(one_hot), logits[:, -1], atol=2e-5, rtol=1e-5)
    at_targets = window.for_training()(one_hot)
    torch.testing.assert_close(at_targets, logits[:, -5:], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(("width", "heads", "layers"), [(8, 2, 1), (24, 2, 2), (64, 4, 3)])
def test_parameters_by_group(width: int, heads: int, layers: int):
    counts = count_parameters(WindowLlama(D_IN, width, layers, heads, CONTEXT, VOCABULARY))
    groups = {group.group: group.trainable for group in counts.groups}
    assert groups == {
        "embedding": D_IN * width,
        "norm": (2 * layers + 1) * width,
        "attention": layers * 4 * width**2,
        "mlp": layers * 3 * width * round(8 * width / 3),
        "head": width * VOCABULARY,
    }
    gpt = count_parameters(WindowGPT(D_IN, width, layers, heads, CONTEXT, VOCABULARY))
    assert 0.75 < counts.trainable / gpt.trainable < 1


def test_initial_weights_are_llamas():
    for name, p in seeded(lambda: a_llama()).named_parameters():
        if p.dim() == 1:
            assert bool((p == 1).all()), name
        else:
            assert p.std().item() == pytest.approx(0.02, rel=4 / p.numel() ** 0.5), name


def test_a_stack_of_one_width_is_each_model_and_other_widths_are_refused():
    models = [shaken(seeded(lambda: a_llama(targets=3), seed)) for seed in (0, 1)]
    of_training = [model.for_training() for model in models if isinstance(model, WindowLlama)]
    program = stack(of_training, some_windows())
    assert isinstance(program, VmapStack)
    own = torch.stack([module(some_windows()) for module in of_training])
    torch.testing.assert_close(program(some_windows()[None]), own, atol=1e-5, rtol=1e-4)

    with pytest.raises(CannotStack, match="another function"):
        stack([a_llama(16), a_llama(32)], some_windows())


def test_forward_and_backward_derivatives_agree():
    model = shaken(seeded(lambda: a_llama())).double()
    x = some_windows(1).double()
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).double()
    along = jvp(model, (x,), (direction,))[1]
    whole = jacrev(model)(x)
    by_reverse = (whole * direction).sum((-3, -2, -1))
    # transformers' RMSNorm computes in float32, whatever the weights are
    torch.testing.assert_close(along, by_reverse, rtol=1e-4, atol=1e-5)
