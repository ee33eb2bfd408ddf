"""Adam (Kingma & Ba 2015) for a stack whose groups may have different learning rates."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam


class StackedAdam:
    """Adam's moments for every model of a stack, and its steps by torch's own fused kernel."""

    def __init__(self, parameters: dict[str, Tensor]):
        self.first = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.second = {name: torch.zeros_like(p) for name, p in parameters.items()}
        # Steps done so far, one count per parameter, as the kernel wants them.
        self.steps = [torch.zeros((), device=p.device) for p in parameters.values()]

    @torch.no_grad()
    def step(
        self, parameters: dict[str, Tensor], gradients: Sequence[Tensor], rates: Sequence[float]
    ) -> None:
        """Update the parameters in place.

        rates: one learning rate per group; the models lie group after group, equally many in each.
        """
        weights = list(parameters.values())
        first = list(self.first.values())
        second = list(self.second.values())
        # The kernel reads memory in order and ignores strides, so a gradient must have the layout
        # of its parameter.
        gradients = [
            g if g.stride() == p.stride() else torch.empty_like(p).copy_(g)
            for g, p in zip(gradients, weights, strict=True)
        ]

        runs = list(_runs_of_equal(rates))
        if len(runs) == 1:
            self._call_kernel(weights, gradients, first, second, rates[0])
            return

        per_group = len(weights[0]) // len(rates)
        for begin, end in runs:
            if begin:
                for count in self.steps:
                    count -= 1  # every call of the kernel counts one step
            part = slice(begin * per_group, end * per_group)
            self._call_kernel(
                [p[part] for p in weights],
                [g[part] for g in gradients],
                [moment[part] for moment in first],
                [moment[part] for moment in second],
                rates[begin],
            )

    def take(self, models: Tensor) -> None:
        """Keep the moments of these models, (M,) indices, in their order."""
        self.first = {name: moment[models] for name, moment in self.first.items()}
        self.second = {name: moment[models] for name, moment in self.second.items()}

    def set_steps(self, steps: int) -> None:
        """Set how many steps have been done."""
        for count in self.steps:
            count.fill_(steps)

    def _call_kernel(
        self,
        weights: list[Tensor],
        gradients: list[Tensor],
        first: list[Tensor],
        second: list[Tensor],
        rate: float,
    ) -> None:
        adam(
            weights,
            gradients,
            first,
            second,
            [],
            self.steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def _runs_of_equal(rates: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Yield the begin and end of each run of equal neighbours."""
    begin = 0
    while begin < len(rates):
        end = begin
        while end < len(rates) and rates[end] == rates[begin]:
            end += 1
        yield begin, end
        begin = end
