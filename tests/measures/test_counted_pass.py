"""A counted pass says what torch's own FLOP counter and unaided passes say, on the meta device and
off it.

Run alone: python -m pytest tests/measures/test_counted_pass.py
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from harness.measures.counted_pass import PassCosts, count_pass
from tasks.models import MadryCNN, mlp
from tests.tasks import small_gpts
from tests.training.toy_models import D, Maxout, Residual

pytestmark = pytest.mark.slow


class EveryShape(nn.Module):
    """Operations whose shapes are known here, in forms for which torch itself must say the
    result."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(4)])
        self.plain_norm = nn.LayerNorm(6, elementwise_affine=False)
        self.no_bias = nn.Linear(6, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        first, second, third, last = self.layers
        x = torch.relu(first(x).t()).t()  # neither is contiguous
        x = x + second(x).sum(1, keepdim=True)  # shapes that differ
        x = x + third(x).sum(-1, dtype=torch.float64).float()[:, None]
        x = self.plain_norm(x) * self.no_bias(x)
        x = torch.addmm(torch.zeros(1, 1, device=x.device), x, self.no_bias.weight, beta=2)
        return nn.functional.gelu(last(x), approximate="none") + 1


class OfHalves(nn.Module):
    """A layer of 16-bit floats."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3).to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.relu(x).to(torch.bfloat16))


class Checkpointed(nn.Module):
    """A model that computes its hidden layer anew in the backward pass."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(6, 9)
        self.last = nn.Linear(9, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(checkpoint(self.hidden, x, use_reentrant=False))


Made = tuple[Callable[[], nn.Module], tuple[int, ...], torch.dtype]

FLOATS = torch.float32
MODELS: dict[str, Made] = {
    "mlp": (lambda: mlp(5, 7, 1, 1), (5,), FLOATS),
    "deep mlp of classes": (lambda: mlp(5, 7, 3, 10), (5,), FLOATS),
    "cnn": (lambda: MadryCNN(2, 10), (1, 28, 28), FLOATS),
    "residual": (lambda: Residual(8, 2), (D,), FLOATS),
    "maxout": (lambda: Maxout(8, 2), (D,), FLOATS),
    "gpt of tokens": (small_gpts.a_stream, (small_gpts.CONTEXT,), torch.int64),
    "gpt of windows": (small_gpts.a_window, (small_gpts.CONTEXT, small_gpts.D_IN), FLOATS),
    "every shape": (EveryShape, (6,), FLOATS),
    "halves": (OfHalves, (6,), FLOATS),
    "checkpointed": (Checkpointed, (6,), FLOATS),
}


def by_torch_alone(model: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> PassCosts:
    """Count with FlopCounterMode, and what is saved in a pass of its own."""
    device = next(model.parameters()).device

    def address(t: Tensor) -> int:
        return id(t) if device.type == "meta" else t.data_ptr()

    weights = {address(p) for p in model.parameters()}

    def flops(batch: int) -> int:
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(batch, *shape, device=device, dtype=dtype)).sum().backward()
        return counter.get_total_flops()

    def saved(batch: int) -> int:
        kept: dict[int, int] = {}

        def pack(t: Tensor) -> Tensor:
            if address(t) not in weights and not isinstance(t, nn.Parameter):
                kept[id(t)] = t.numel() * t.element_size()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            output = model(torch.zeros(batch, *shape, device=device, dtype=dtype))
        del output
        return sum(kept.values())

    output = model(torch.zeros(2, *shape, device=device, dtype=dtype))
    return PassCosts(output.shape[-1], (flops(4) - flops(2)) // 2, (saved(4) - saved(2)) // 2)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("make", "shape", "dtype"), MODELS.values(), ids=MODELS.keys())
def test_it_counts_what_torch_counts(
    make: Callable[[], nn.Module], shape: tuple[int, ...], dtype: torch.dtype, device: str
):
    with torch.device(device):
        model = make()
    assert count_pass(model, shape, dtype) == by_torch_alone(model, shape, dtype)


def test_shapes_that_do_not_fit_are_torchs_own_error():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(5, 7), nn.Linear(8, 1))
    with pytest.raises(RuntimeError, match="a and b must have same reduction dim|shapes cannot"):
        count_pass(model, (5,))
