"""The optimisers of a stack: Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019) and SGD with
momentum. Groups may differ in learning rate and weight decay."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from harness.training.recipe import ADAM, Rule, has_second_moments


class Stride(NamedTuple):
    """How far one group steps."""

    rate: float | Tensor
    """The learning rate of this step; or the tensor () that will hold it, where the step is
    recorded before it is done."""
    decay: float = 0.0
    """The weight decay of matrices."""

    def is_same(self, other: "Stride") -> bool:
        """Return whether one call of a kernel can take both. Tensors are the same if they are one:
        to compare what they hold, Python would wait for the GPU."""
        if isinstance(self.rate, Tensor) or isinstance(other.rate, Tensor):
            return self.rate is other.rate and self.decay == other.decay
        return self == other


class StackedOptimiser:
    """The moments of every model of a stack, and its steps by torch's own kernels."""

    def __init__(
        self,
        parameters: dict[str, Tensor],
        rule: Rule = ADAM,
        matrices: Collection[str] = (),
    ):
        """matrices: the names of the parameters that weight decay shrinks."""
        self.rule = rule
        self.matrices = frozenset(matrices)
        self.first = {name: torch.zeros_like(p) for name, p in parameters.items()}
        """Adam's first moments, or the velocities of SGD."""
        of_adam = parameters if has_second_moments(rule.optimiser) else {}
        self.second = {name: torch.zeros_like(p) for name, p in of_adam.items()}
        # Steps done so far, one count per parameter, as Adam's kernel wants them.
        self.steps = {name: torch.zeros((), device=p.device) for name, p in of_adam.items()}

    @torch.no_grad()
    def step(
        self,
        parameters: dict[str, Tensor],
        gradients: Sequence[Tensor],
        strides: Sequence[Stride],
    ) -> None:
        """Update the parameters in place.

        strides: one per group; the models lie group after group, equally many in each.
        """
        # The kernels read memory in order and ignore strides, so a gradient must have the layout of
        # its parameter.
        of_name = {
            name: g if g.stride() == p.stride() else torch.empty_like(p).copy_(g)
            for (name, p), g in zip(parameters.items(), gradients, strict=True)
        }

        runs = list(_runs_of_equal(strides))
        if len(runs) == 1:
            self._step_models(parameters, of_name, None, strides[0])
            return

        per_group = len(next(iter(parameters.values()))) // len(strides)
        for begin, end in runs:
            if begin:
                for count in self.steps.values():
                    count -= 1  # every call of Adam's kernel counts one step
            part = slice(begin * per_group, end * per_group)
            self._step_models(parameters, of_name, part, strides[begin])

    def take(self, models: Tensor) -> None:
        """Keep the moments of these models, (M,) indices, in their order."""
        self.first = {name: moment[models] for name, moment in self.first.items()}
        self.second = {name: moment[models] for name, moment in self.second.items()}

    def set_steps(self, steps: int) -> None:
        """Set how many steps have been done."""
        for count in self.steps.values():
            count.fill_(steps)

    def _step_models(
        self,
        parameters: dict[str, Tensor],
        gradients: dict[str, Tensor],
        models: slice | None,
        stride: Stride,
    ) -> None:
        """Step some models, or all for None: the decayed parameters in one call, the others in
        another."""
        decayed = [name for name in parameters if stride.decay and name in self.matrices]
        others = [name for name in parameters if name not in decayed]
        for names, decay in ((others, 0.0), (decayed, stride.decay)):
            if not names:
                continue

            def part(of_name: dict[str, Tensor], names: list[str] = names) -> list[Tensor]:
                tensors = [of_name[name] for name in names]
                return tensors if models is None else [tensor[models] for tensor in tensors]

            if self.rule.optimiser == "sgd":
                sgd(
                    part(parameters),
                    part(gradients),
                    [*part(self.first)],
                    fused=True,
                    weight_decay=decay,
                    momentum=self.rule.momentum,
                    lr=stride.rate,  # pyright: ignore[reportArgumentType] - a tensor too
                    dampening=0.0,
                    nesterov=False,
                    maximize=False,
                )
                continue

            adam(
                part(parameters),
                part(gradients),
                part(self.first),
                part(self.second),
                [],
                [self.steps[name] for name in names],
                fused=True,
                decoupled_weight_decay=self.rule.optimiser == "adamw",
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=stride.rate,
                weight_decay=decay,
                eps=1e-8,
                maximize=False,
            )


def _runs_of_equal(strides: Sequence[Stride]) -> Iterator[tuple[int, int]]:
    """Yield the begin and end of each run of equal neighbours."""
    begin = 0
    while begin < len(strides):
        end = begin
        while end < len(strides) and strides[end].is_same(strides[begin]):
            end += 1
        yield begin, end
        begin = end
