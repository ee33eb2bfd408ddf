"""Models of any kind as one program: their own forward, vectorised over the models by
torch.func."""

import contextlib
import copy
from collections.abc import Sequence

from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from harness.training.padded import PaddedStack
from harness.training.program import FirstLayer, Model, scale_inputs


class VmapStack(PaddedStack):
    """A stack of models that share one forward."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        widest: nn.Module,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
    ):
        super().__init__(modules, widest, parameters, buffers)
        self.skeleton = copy.deepcopy(widest).to("meta")

    def __call__(self, x: Tensor) -> Tensor:
        """Map (G, B, *input_shape), one batch per group, to (M, B, outputs)."""

        def forward(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(self.skeleton, tensors, (x,))

        groups = len(x)
        tensors = {
            name: tensor.unflatten(0, (groups, -1))
            for name, tensor in {**self.parameters, **self.buffers}.items()
        }
        over_models = vmap(forward, (0, None))
        over_groups = vmap(over_models, (0, 0))

        # The CPU's fused attention has no vectorised form: it would be called once per model.
        plain_attention = (
            sdpa_kernel(SDPBackend.MATH) if x.device.type == "cpu" else contextlib.nullcontext()
        )
        with plain_attention:
            return over_groups(tensors, x).flatten(0, 1)

    def of_inputs(self, unit: Tensor | None = None) -> Model:
        """Return the models as a function of inputs (M, B, *input_shape) times `unit` (M,)."""
        return scale_inputs(self, unit)

    def first_layer(self, unit: Tensor | None = None) -> FirstLayer | None:
        """Return None: nothing is known of how these models begin."""
        return None

    def train(self, mode: bool) -> None:
        """Switch to training mode, or to evaluation mode."""
        self.skeleton.train(mode)
