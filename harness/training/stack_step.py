"""One training step of a stack in fixed places: `load` copies what changes from step to step into
buffers, and `work` reads them and updates weights, moments and sums in place. So a GPU can record
`work` once and replay it (`recorded.py`).
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Self

import torch
from torch import Tensor

from harness.task import Config, Data, Seeds
from harness.training.adversary import Adversary, perturb, random_offsets
from harness.training.evaluation import Evaluation, sample_losses, wrong_share
from harness.training.optimiser import StackedOptimiser, Stride
from harness.training.program import Program
from harness.training.recipe import Recipe, recipe_of


class StackGroup(NamedTuple):
    """What the models of one group of a stack share: the samples, their order, the learning rate
    and the rest of the recipe, whose `rule` is the same for all groups."""

    data: Data
    order: torch.Generator
    lr: float
    starts: torch.Generator | None = None
    """The generator of an adversary's random starts."""
    recipe: Recipe = Recipe()

    @classmethod
    def of(cls, config: Config, data: Data, seeds: Seeds) -> Self:
        """Return the group of models that a configuration and a trial's seeds train alike."""
        return cls(
            data,
            seeds.generator("order"),
            config.rate,
            seeds.generator("adversary") if config.adversary else None,
            recipe_of(config),
        )


class Sums:
    """Sums over the samples of a stretch of steps, one of each per slot."""

    def __init__(self, slots: int, like: Tensor):
        self.losses = torch.zeros(slots, dtype=like.dtype, device=like.device)
        self.errors = torch.zeros(slots, dtype=torch.float64, device=like.device)

    def clear(self) -> None:
        self.losses.zero_()
        self.errors.zero_()

    def means(self, samples: int) -> list[Evaluation]:
        """Return each slot's figures over that many samples."""
        sums = zip(self.losses.tolist(), self.errors.tolist(), strict=True)
        return [Evaluation(loss / samples, wrong / samples) for loss, wrong in sums]


class StackStep:
    """The steps of a stack on batches of one size."""

    def __init__(
        self,
        program: Program,
        optimiser: StackedOptimiser,
        groups: Sequence[StackGroup],
        sums: Sums,
        batch_size: int,
        adversary: Adversary | None,
    ):
        self.program = program
        self.optimiser = optimiser
        self.groups = list(groups)
        self.sums = sums
        self.adversary = adversary
        self.models = len(sums.losses)
        self.per_group = self.models // len(groups)
        self.classes = groups[0].data.classes

        x = groups[0].data.x_train
        self.rows = torch.zeros(len(groups), batch_size, dtype=torch.int64, device=x.device)
        self._rows_of_group = list(self.rows)
        self.offsets: Tensor | None = None
        if adversary and adversary.random_start:
            self.offsets = x.new_zeros(len(groups), batch_size, *x.shape[1:])

        # Neighbours of one recipe share a rate, and so a call of the optimiser's kernel.
        recipes = [(group.lr, group.recipe) for group in groups]
        self.recipes = [r for g, r in enumerate(recipes) if g == 0 or r != recipes[g - 1]]
        # On a GPU the kernels of torch.optim want float32; on a CPU this is the rate itself.
        exact = torch.float64 if x.device.type == "cpu" else torch.float32
        self.rates = [torch.zeros((), dtype=exact, device=x.device) for _ in self.recipes]
        self._filled = [0.0 for _ in self.recipes]

        self.strides: list[Stride] = []
        run = -1
        for g, (_, recipe) in enumerate(recipes):
            run += g == 0 or recipes[g] != recipes[g - 1]
            self.strides.append(Stride(self.rates[run], recipe.weight_decay))

    def load(self, rows: Tensor, steps_done: int) -> None:
        """Take in what the next step is about.

        rows: (G, B), on the device: the numbers of each group's samples.
        """
        self.rows.copy_(rows)

        for run, (lr, recipe) in enumerate(self.recipes):
            rate = recipe.rate(lr, steps_done)
            if rate != self._filled[run]:
                self.rates[run].fill_(rate)
                self._filled[run] = rate

        if self.offsets is not None:
            assert self.adversary
            starts = [group.starts for group in self.groups if group.starts]
            drawn = random_offsets(self.adversary, starts, self.offsets)
            assert drawn is not None
            self.offsets.copy_(drawn)

    def work(self) -> None:
        """Do the step that was loaded, and add its figures, at the weights before it, to the
        sums."""
        x, y = self._batch()
        target = y.repeat_interleave(self.per_group, 0).flatten(0, 1)
        losses_of = partial(sample_losses, y=target, classes=self.classes)
        if self.adversary:
            box = self.groups[0].data.box
            attack = (self.adversary, box, self.offsets)
            x = perturb(self.program, x, self.per_group, losses_of, *attack)

        output = self.program(x).flatten(0, 1)
        loss = losses_of(output).unflatten(0, (self.models, -1)).mean(1)
        parameters = list(self.program.parameters.values())
        gradients = torch.autograd.grad(loss.sum(), parameters, materialize_grads=True)
        self.optimiser.step(self.program.parameters, gradients, self.strides)
        # Until the next step: memory that is freed now goes back to the system, page by page.
        self._last = (x, output, loss, gradients)

        self.sums.losses += loss.detach() * y.shape[1]
        if self.classes is not None:  # the stop rules of ±1 targets look at the loss alone
            is_wrong = wrong_share(output.detach(), target, self.classes)
            self.sums.errors += is_wrong.unflatten(0, (self.models, -1)).sum(1)

    def state(self) -> dict[str, list[Tensor]]:
        """Return all that a step changes, by kind. The tensors are its own, not copies."""
        return {
            "weights": list(self.program.parameters.values()),
            "buffers": list(self.program.buffers.values()),
            "first moments": list(self.optimiser.first.values()),
            "second moments": list(self.optimiser.second.values()),
            "steps": list(self.optimiser.steps.values()),
            "sums": [self.sums.losses, self.sums.errors],
        }

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Return (G, B, *input_shape) and (G, B), or (G, B, T) with T targets a sample."""
        batches = list(zip(self.groups, self._rows_of_group, strict=True))
        xs = [group.data.x_train[rows] for group, rows in batches]
        ys = [group.data.trained_on[rows] for group, rows in batches]
        if len(batches) == 1:
            return xs[0][None], ys[0][None]
        return torch.stack(xs), torch.stack(ys)
