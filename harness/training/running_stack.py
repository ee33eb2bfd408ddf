"""Keep the models of a stack while they train: their program, their optimizer, and which of them
are finished.

A model keeps its number for good, and a slot in the program while it trains. The models lie group
after group, and every group has equally many slots. So a finished model may have to keep its slot
until a slot of every group can be dropped; until then it trains on, and is ignored.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple, Self

import torch
from torch import Tensor

from harness.task import Config, Data, Seeds
from harness.training.adversary import Adversary, perturb
from harness.training.alone import Alone
from harness.training.evaluation import Evaluation, evaluate, sample_losses, wrong_share
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

    def stride(self, steps_done: int) -> Stride:
        """Return how far the next step goes."""
        return Stride(self.recipe.rate(self.lr, steps_done), self.recipe.weight_decay)


class Checkpoint(NamedTuple):
    """The complete state of training between two epochs, from which it resumes exactly. Tensors are
    named as in `Program.parameters`."""

    epoch: int
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    first_moments: dict[str, Tensor]
    second_moments: dict[str, Tensor]
    orders: list[Tensor]
    """State of each group's generator of orders."""
    dropout: Tensor
    """State of torch's own generator, from which modules draw in training."""
    lags: dict[int, Evaluation]
    """Model → its exact figures divided by its running figures, in an earlier epoch."""
    starts: Sequence[Tensor] = ()
    """State of each group's generator of random starts, where there is an adversary."""


class RunningStack:
    """A stack of models in training."""

    def __init__(self, program: Program, groups: Sequence[StackGroup], models: int):
        self.program = program
        self.optimiser = StackedOptimiser(
            program.parameters, groups[0].recipe.rule, _matrices(program)
        )
        self.steps_done = 0
        self.samples_behind = 0
        """Samples behind the latest running figures."""
        self.groups = list(groups)
        """The groups that still have a slot."""
        self.models = list(range(models))
        """The model in each slot."""
        self.written_back: set[int] = set()
        self.lags: dict[int, Evaluation] = {}
        self._first_groups = list(groups)
        self._first_per_group = models // len(groups)

    @property
    def per_group(self) -> int:
        """Return the number of slots of every group."""
        return len(self.models) // len(self.groups)

    def group_of(self, model: int) -> StackGroup:
        """Return the group of a model, whether it still has a slot or not."""
        return self._first_groups[model // self._first_per_group]

    def epoch(
        self, batch_size: int, classes: int | None, adversary: Adversary | None = None
    ) -> list[Evaluation]:
        """Train one epoch, and return each slot's running figures."""
        (figures,) = self.stretches(batch_size, classes, adversary)
        return figures

    def stretches(
        self,
        batch_size: int,
        classes: int | None,
        adversary: Adversary | None = None,
        steps: int | None = None,
    ) -> Iterator[list[Evaluation]]:
        """Train one epoch. After every `steps` optimiser steps, and at its end, yield each slot's
        running figures: means over the inputs of this stretch, each batch at the weights before its
        step."""
        models = len(self.models)
        parameters = list(self.program.parameters.values())
        nothing = torch.zeros(models, device=self.groups[0].data.x_train.device)

        self.program.train(True)
        losses = errors = nothing
        seen = 0
        for x, y, is_last in self._batches(batch_size):
            target = y.repeat_interleave(self.per_group, 0).flatten(0, 1)
            if adversary:
                x = self._perturbed(x, target, classes, adversary)

            output = self.program(x).flatten(0, 1)
            loss = sample_losses(output, target, classes).unflatten(0, (models, -1)).mean(1)
            gradients = torch.autograd.grad(loss.sum(), parameters, materialize_grads=True)
            strides = [group.stride(self.steps_done) for group in self.groups]
            self.optimiser.step(self.program.parameters, gradients, strides)
            self.steps_done += 1

            seen += y.shape[1]
            losses = losses + loss.detach() * y.shape[1]
            if classes is not None:  # the stop rules of ±1 targets look at the loss alone
                is_wrong = wrong_share(output.detach(), target, classes)
                errors = errors + is_wrong.unflatten(0, (models, -1)).sum(1)

            if is_last or (steps and self.steps_done % steps == 0):
                self.samples_behind = seen
                sums = zip(losses.tolist(), errors.tolist(), strict=True)
                yield [
                    Evaluation(loss_sum / seen, wrong_sum / seen) for loss_sum, wrong_sum in sums
                ]
                # whoever looks at the figures may have evaluated the models meanwhile
                self.program.train(True)
                losses = errors = nothing
                seen = 0

    def evaluate(self, models: Sequence[int]) -> list[Evaluation]:
        """Return some models' exact figures over their own training sets, at the weights they have
        now."""
        if not models:
            return []
        slots = [slot for slot, model in enumerate(self.models) if model in models]

        figures: dict[int, Evaluation] = {}
        # One call for all models is quicker than taking more than a quarter of them out.
        if len(slots) * 4 > len(self.models):
            of_slot = evaluate(self.program, [group.data for group in self.groups])
            figures = {self.models[slot]: of_slot[slot] for slot in slots}
        else:
            for g, group in enumerate(self.groups):
                in_group = [slot for slot in slots if slot // self.per_group == g]
                if in_group:
                    of_part = evaluate(self.program.take(in_group), [group.data])
                    named = [self.models[slot] for slot in in_group]
                    figures |= dict(zip(named, of_part, strict=True))
        return [figures[model] for model in models]

    def write_back(self, finished: set[int]) -> None:
        """Write the weights of newly finished models back to their modules."""
        newly_finished = finished - self.written_back
        for slot, model in enumerate(self.models):
            if model in newly_finished:
                self.program.unstack(slot)
        self.written_back |= finished

    def drop(self, finished: set[int]) -> None:
        """Drop slots of finished models, as many as keep all groups equally long, and every group
        whose models are all finished."""
        if not finished:
            return

        slots_of = [
            range(g * self.per_group, (g + 1) * self.per_group) for g in range(len(self.groups))
        ]
        training = [[s for s in slots if self.models[s] not in finished] for slots in slots_of]
        width = max(map(len, training))

        kept_groups: list[StackGroup] = []
        kept_slots: list[int] = []
        for group, slots, still_training in zip(self.groups, slots_of, training, strict=True):
            if still_training:
                fillers = [s for s in slots if s not in still_training]
                kept_groups.append(group)
                kept_slots += (still_training + fillers)[:width]
        if len(kept_slots) == len(self.models):
            return

        self.program = self.program.take(kept_slots)
        device = self.groups[0].data.x_train.device
        self.optimiser.take(torch.tensor(kept_slots, device=device))
        self.groups = kept_groups
        self.models = [self.models[slot] for slot in kept_slots]

    def checkpoint(self, epoch: int) -> Checkpoint:
        """Return the state after an epoch. Its tensors are the program's own, not copies."""
        return Checkpoint(
            epoch=epoch,
            parameters=self.program.parameters,
            buffers=self.program.buffers,
            first_moments=self.optimiser.first,
            second_moments=self.optimiser.second,
            orders=[group.order.get_state() for group in self.groups],
            dropout=torch.get_rng_state(),
            lags=dict(self.lags),
            starts=[group.starts.get_state() for group in self.groups if group.starts],
        )

    @torch.no_grad()
    def restore(self, checkpoint: Checkpoint, steps_per_epoch: int) -> None:
        """Restore the state after an epoch."""
        for tensors, saved in (
            (self.program.parameters, checkpoint.parameters),
            (self.program.buffers, checkpoint.buffers),
            (self.optimiser.first, checkpoint.first_moments),
            (self.optimiser.second, checkpoint.second_moments),
        ):
            for name, tensor in tensors.items():
                tensor.copy_(saved[name])
        self.steps_done = checkpoint.epoch * steps_per_epoch
        self.optimiser.set_steps(self.steps_done)

        for group, state in zip(self.groups, checkpoint.orders, strict=True):
            group.order.set_state(state)
        starts = [group.starts for group in self.groups if group.starts]
        for generator, state in zip(starts, checkpoint.starts, strict=True):
            generator.set_state(state)
        torch.set_rng_state(checkpoint.dropout)
        self.lags = dict(checkpoint.lags)

    def _batches(self, size: int) -> Iterator[tuple[Tensor, Tensor, bool]]:
        """Yield (G, B, *input_shape) and (G, B), or (G, B, T) with T targets a sample: each group's
        samples in this epoch's order; and whether these are the last ones."""
        data = [group.data for group in self.groups]
        orders = [
            torch.randperm(len(group.data.x_train), generator=group.order).to(
                group.data.x_train.device
            )
            for group in self.groups
        ]
        n = len(orders[0])
        for begin in range(0, n, size):
            batches = [order[begin : begin + size] for order in orders]
            xs = [d.x_train[batch] for d, batch in zip(data, batches, strict=True)]
            ys = [d.trained_on[batch] for d, batch in zip(data, batches, strict=True)]
            is_last = begin + size >= n
            if len(self.groups) == 1:
                yield xs[0][None], ys[0][None], is_last
            else:
                yield torch.stack(xs), torch.stack(ys), is_last

    def _perturbed(
        self, x: Tensor, target: Tensor, classes: int | None, adversary: Adversary
    ) -> Tensor:
        """Return each model's own adversarial inputs (M, B, *input_shape) for x (G, B, …)."""
        return perturb(
            self.program,
            x,
            self.per_group,
            partial(sample_losses, y=target, classes=classes),
            adversary,
            self.groups[0].data.box,
            [group.starts for group in self.groups if group.starts],
        )


def _matrices(program: Program) -> list[str]:
    """Return the names of the parameters that have two dimensions or more in each model."""
    of_stack = 0 if isinstance(program, Alone) else 1
    return [name for name, p in program.parameters.items() if p.dim() - of_stack >= 2]
