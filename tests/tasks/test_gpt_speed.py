"""What a GPT's passes cost, and the operations that would slow them down.

Run alone: python -m pytest tests/tasks/test_gpt_speed.py
"""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness.measures.counts import count_training_flops
from tasks.gpt import WindowGPT
from tests.tasks.small_gpts import (
    CONTEXT,
    D_IN,
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


class Names(TorchDispatchMode):
    """Records the names of all operations that run inside."""

    def __init__(self):
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("make", [a_stream, a_window], ids=["stream", "window"])
def test_a_forward_pass_waits_for_no_device_and_builds_no_mask(make: Callable[[], nn.Module]):
    model = make()
    with Names() as names:
        model(some_windows() if isinstance(model, WindowGPT) else some_tokens())
    assert "addmm" in names.seen
    assert not names.seen & {"_local_scalar_dense", "cumsum", "where", "tanh", "pow"}


def test_stocks_forward_pass_does_both():
    """Shows that the test above looks for the right names."""
    stock = stock_gpt2(tied=True)
    with Names() as names:
        stock(some_tokens(), use_cache=False)
    assert names.seen >= {"_local_scalar_dense", "cumsum", "tanh", "pow"}


@pytest.mark.slow
@pytest.mark.parametrize("make", [a_stream, a_window], ids=["stream", "window"])
def test_a_compiler_gets_the_whole_model(make: Callable[[], nn.Module]):
    model = shaken(seeded(make))
    x = some_windows() if isinstance(model, WindowGPT) else some_tokens()
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x), model(x))


@pytest.mark.parametrize("make", [a_stream, a_window], ids=["stream", "window"])
def test_models_run_on_the_meta_device(make: Callable[[], nn.Module]):
    with torch.device("meta"):
        model = make()
    x = (some_windows() if isinstance(model, WindowGPT) else some_tokens()).to("meta")
    assert model(x).shape[-1] == VOCABULARY and model(x).device.type == "meta"


@pytest.mark.slow
def test_flops_of_a_window_model_by_formula():
    with torch.device("meta"):
        model = a_window()
    matrices = CONTEXT * (D_IN * WIDTH + LAYERS * 12 * WIDTH**2) + WIDTH * VOCABULARY
    attention = LAYERS * 2 * CONTEXT**2 * WIDTH
    without_input = 2 * CONTEXT * D_IN * WIDTH
    assert count_training_flops(model, (CONTEXT, D_IN)) == pytest.approx(
        2 * 3 * (matrices + attention) - without_input, rel=0.1
    )


def test_transformers_has_nothing_to_say(capfd: pytest.CaptureFixture[str]):
    for model, x in (
        (a_stream(), some_tokens()),
        (a_stream(False), some_tokens()),
        (a_window(), some_windows()),
    ):
        model(x).sum().backward()
    assert capfd.readouterr() == ("", "")
