"""Keep the models of a stack while they train: their program, their optimizer, and which of them
are finished.

A model keeps its number for good, and a slot in the program while it trains. The models lie group
after group, and every group has equally many slots. So a finished model may have to keep its slot
until a slot of every group can be dropped; until then it trains on, and is ignored.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from harness.task import Data
from harness.training.adam import StackedAdam
from harness.training.adversary import Adversary, perturb
from harness.training.evaluation import Evaluation, evaluate, sample_losses, wrong
from harness.training.program import Program


class StackGroup(NamedTuple):
    """What the models of one group of a stack share: the samples, their order and the learning
    rate."""

    data: Data
    order: torch.Generator
    lr: float
    starts: torch.Generator | None = None
    """The generator of an adversary's random starts."""


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
        self.adam = StackedAdam(program.parameters)
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
        """Train one epoch, and return each slot's running figures: means over the inputs that it
        was trained on, each batch at the weights before its step."""
        models = len(self.models)
        n = len(self.groups[0].data.x_train)
        rates = [group.lr for group in self.groups]
        parameters = list(self.program.parameters.values())

        self.program.train(True)
        losses = errors = torch.zeros(models, device=self.groups[0].data.x_train.device)
        for x, y in self._batches(batch_size):
            target = y.repeat_interleave(self.per_group, 0).flatten()
            if adversary:
                x = self._perturbed(x, target, classes, adversary)

            output = self.program(x).flatten(0, 1)
            loss = sample_losses(output, target, classes).unflatten(0, (models, -1)).mean(1)
            gradients = torch.autograd.grad(loss.sum(), parameters, materialize_grads=True)
            self.adam.step(self.program.parameters, gradients, rates)

            losses = losses + loss.detach() * y.shape[1]
            if classes is not None:  # the stop rules of ±1 targets look at the loss alone
                is_wrong = wrong(output.detach(), target, classes).unflatten(0, (models, -1))
                errors = errors + is_wrong.sum(1)

        sums = zip(losses.tolist(), errors.tolist(), strict=True)
        return [Evaluation(loss_sum / n, wrong_count / n) for loss_sum, wrong_count in sums]

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
        self.adam.take(torch.tensor(kept_slots, device=self.adam.steps[0].device))
        self.groups = kept_groups
        self.models = [self.models[slot] for slot in kept_slots]

    def checkpoint(self, epoch: int) -> Checkpoint:
        """Return the state after an epoch. Its tensors are the program's own, not copies."""
        return Checkpoint(
            epoch=epoch,
            parameters=self.program.parameters,
            buffers=self.program.buffers,
            first_moments=self.adam.first,
            second_moments=self.adam.second,
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
            (self.adam.first, checkpoint.first_moments),
            (self.adam.second, checkpoint.second_moments),
        ):
            for name, tensor in tensors.items():
                tensor.copy_(saved[name])
        self.adam.set_steps(checkpoint.epoch * steps_per_epoch)

        for group, state in zip(self.groups, checkpoint.orders, strict=True):
            group.order.set_state(state)
        starts = [group.starts for group in self.groups if group.starts]
        for generator, state in zip(starts, checkpoint.starts, strict=True):
            generator.set_state(state)
        torch.set_rng_state(checkpoint.dropout)
        self.lags = dict(checkpoint.lags)

    def _batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (G, B, *input_shape) and (G, B): each group's samples in this epoch's order."""
        data = [group.data for group in self.groups]
        orders = [
            torch.randperm(len(group.data.x_train), generator=group.order).to(
                group.data.x_train.device
            )
            for group in self.groups
        ]
        for begin in range(0, len(orders[0]), size):
            batches = [order[begin : begin + size] for order in orders]
            xs = [d.x_train[batch] for d, batch in zip(data, batches, strict=True)]
            ys = [d.y_train[batch] for d, batch in zip(data, batches, strict=True)]
            if len(self.groups) == 1:
                yield xs[0][None], ys[0][None]
            else:
                yield torch.stack(xs), torch.stack(ys)

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
