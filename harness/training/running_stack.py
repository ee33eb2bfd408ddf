"""Keep the models of a stack while they train: their program, their optimizer, and which of them
are finished.

A model keeps its number for good, and a slot in the program while it trains. The models lie group
after group, and every group has equally many slots. So a finished model may have to keep its slot
until a slot of every group can be dropped; until then it trains on, and is ignored.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training.adversary import Adversary
from harness.training.alone import Alone
from harness.training.device_generator import generator_of
from harness.training.evaluation import Evaluation, evaluate
from harness.training.optimiser import StackedOptimiser
from harness.training.program import Program
from harness.training.recorded import RecordedStep, recorder_for
from harness.training.stack_step import StackGroup, StackStep, Sums

WORTH_DROPPING = 8
"""Where steps are recorded, finished models leave once they are this part of all slots: what they
cost is less than a new recording."""


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
    """State of the device's own generator, from which modules draw in training."""
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
        self._prepare_steps()

    @property
    def per_group(self) -> int:
        """Return the number of slots of every group."""
        return len(self.models) // len(self.groups)

    @property
    def is_warm(self) -> bool:
        """Return whether every kind of step has been done, and recorded if it is going to be."""
        return bool(self._steps) and all(step.settled for step in self.recorded)

    @property
    def recorded(self) -> list[RecordedStep]:
        """Return the steps that are recorded, or are going to be; none on a CPU."""
        return [step for step in self._steps.values() if isinstance(step, RecordedStep)]

    @property
    def device(self) -> torch.device:
        """Return where the stack trains."""
        return self.groups[0].data.x_train.device

    def group_of(self, model: int) -> StackGroup:
        """Return the group of a model, whether it still has a slot or not."""
        return self._first_groups[model // self._first_per_group]

    def epoch(self, batch_size: int, adversary: Adversary | None = None) -> list[Evaluation]:
        """Train one epoch, and return each slot's running figures."""
        (figures,) = self.stretches(batch_size, adversary)
        return figures

    def stretches(
        self,
        batch_size: int,
        adversary: Adversary | None = None,
        steps: int | None = None,
    ) -> Iterator[list[Evaluation]]:
        """Train one epoch. After every `steps` optimiser steps, and at its end, yield each slot's
        running figures: means over the inputs of this stretch, each batch at the weights before its
        step."""
        sums = self.sums
        seen = 0
        for rows, is_last in self._batches(batch_size):
            if not seen:
                # whoever looked at the figures may have evaluated the models meanwhile
                self.program.train(True)
                sums.clear()

            step = self._step(rows.shape[1], adversary)
            step.load(rows, self.steps_done)
            step.work()
            self.steps_done += 1

            seen += rows.shape[1]
            if is_last or (steps and self.steps_done % steps == 0):
                self.samples_behind = seen
                yield sums.means(seen)
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
        dropped = len(self.models) - len(kept_slots)
        least = len(self.models) // WORTH_DROPPING if self.recorder else 1
        if dropped < max(1, least):
            return

        self._steps.clear()  # a recording holds memory
        self.program = self.program.take(kept_slots)
        self.optimiser.take(torch.tensor(kept_slots, device=self.device))
        self.groups = kept_groups
        self.models = [self.models[slot] for slot in kept_slots]
        self._prepare_steps()

    def checkpoint(self, epoch: int) -> Checkpoint:
        """Return the state after an epoch. Its tensors are the program's own, not copies."""
        return Checkpoint(
            epoch=epoch,
            parameters=self.program.parameters,
            buffers=self.program.buffers,
            first_moments=self.optimiser.first,
            second_moments=self.optimiser.second,
            orders=[group.order.get_state() for group in self.groups],
            dropout=generator_of(self.device).get_state(),
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
        generator_of(self.device).set_state(checkpoint.dropout)
        self.lags = dict(checkpoint.lags)

    def _prepare_steps(self) -> None:
        """Forget the steps of an earlier program, and what was recorded of them."""
        self.recorder = recorder_for(self.device)
        self.sums = Sums(len(self.models), self.groups[0].data.x_train)
        self._steps: dict[tuple[int, Adversary | None], StackStep | RecordedStep] = {}

    def _step(self, batch_size: int, adversary: Adversary | None) -> StackStep | RecordedStep:
        """Return the step for batches of one size: the last batch of an epoch may be smaller."""
        key = (batch_size, adversary)
        if key not in self._steps:
            step = StackStep(
                self.program, self.optimiser, self.groups, self.sums, batch_size, adversary
            )
            self._steps[key] = RecordedStep(step, self.recorder) if self.recorder else step
        return self._steps[key]

    def _batches(self, size: int) -> Iterator[tuple[Tensor, bool]]:
        """Yield (G, B): the numbers of each group's samples in this epoch's order; and whether
        these are the last ones."""
        n = len(self.groups[0].data.x_train)
        each = [torch.randperm(n, generator=group.order) for group in self.groups]
        orders = torch.stack(each) if len(each) > 1 else each[0][None]
        orders = orders.to(self.device)
        for begin in range(0, n, size):
            yield orders[:, begin : begin + size], begin + size >= n


def _matrices(program: Program) -> list[str]:
    """Return the names of the parameters that have two dimensions or more in each model."""
    of_stack = 0 if isinstance(program, Alone) else 1
    return [name for name, p in program.parameters.items() if p.dim() - of_stack >= 2]
