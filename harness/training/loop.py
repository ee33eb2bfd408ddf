"""The loop that trains one model, or a stack of them, with Adam until each one's stop rule is met.

group = StackGroup(data, order=Seeds(0).generator("order"), lr=1e-3)
(fit,) = train(Alone(model), [group], [config])

With an adversary every step is on inputs moved against the model (`adversary.py`); stop rules and
the figures of a Fit are about the clean inputs all the same.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.adam import adam

from harness.errors import TrialFailure
from harness.task import EVALUATION_BATCH, Config, Data
from harness.training.adversary import Adversary, adversary_of, perturb
from harness.training.stack import Program

INTERPOLATION_MSE = 0.01
"""A ±1 target counts as interpolated at this mean squared error: one hundredth of the target's
variance."""

CHECK_MARGIN = 2.0
"""The whole training set is evaluated when an epoch's running figure is within this factor of
the stop level."""

LAG_MARGIN = 1.15
"""As CHECK_MARGIN, once a model's lag is known."""


class Fit(NamedTuple):
    """Where training ended; `loss` and `error` are over the whole training set, as it is, at the
    final weights."""

    loss: float
    error: float
    epochs: int
    steps: int
    stop_reason: str


class Evaluation(NamedTuple):
    """Mean loss (squared error, or cross-entropy in nats) and share of wrong labels over a set."""

    loss: float
    error: float


class StackGroup(NamedTuple):
    """What the models of one row of a stack share: the samples, their order and the learning
    rate."""

    data: Data
    order: torch.Generator
    lr: float
    starts: torch.Generator | None = None
    """Where an adversary's random starts are drawn."""


class Checkpoint(NamedTuple):
    """Training between two epochs, whole, so that it can go on exactly. Tensors as in
    `Program.parameters`."""

    epoch: int
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    first_moments: dict[str, Tensor]
    second_moments: dict[str, Tensor]
    orders: list[Tensor]
    """State of each row's generator of orders."""
    dropout: Tensor
    """State of torch's own generator, which modules that draw in training use."""
    lags: dict[int, Evaluation]
    """By model, how far below an epoch's running figures its exact ones were, as factors."""
    starts: Sequence[Tensor] = ()
    """State of each row's generator of random starts, where there is an adversary."""


def train(
    program: Program,
    rows: Sequence[StackGroup],
    configs: Sequence[Config],
    start: Checkpoint | None = None,
    keep: Callable[[Checkpoint], None] = lambda _: None,
) -> list[Fit | TrialFailure]:
    """Train every model of the program, in place; `unstack` then gives each with its final weights.

    The models lie row after row, equally many in each. A model that has met its rule leaves the
    stack, at the weights it had then; one whose loss is not finite leaves it with
    TrialFailure("nan") in place of its Fit. The rows' sample counts, batch sizes, kinds of target,
    boxes and adversaries must agree. `keep` is called after every epoch, and `start` goes on from
    what it was given.

    Raises ValueError when the stop rule `noise` has no noise to go by, or an adversary's random
    starts no generator.
    """
    models = _Models(program, list(rows), list(range(len(configs))))
    batch_size, steps_per_epoch, classes = (
        configs[0].samples_per_step,
        configs[0].steps_per_epoch,
        rows[0].data.classes,
    )
    adversary = adversary_of(configs[0])
    for m, config in enumerate(configs):
        if config.stop == "noise" and not models.row_of(m).data.noise.epsilon:
            raise ValueError(
                "stop 'noise' needs labels with injected noise; add some, or use stop 'interpolate'"
                " or 'epochs'"
            )
    if adversary and adversary.random_start and not all(row.starts for row in rows):
        raise ValueError(
            "adversary 'pgd' begins at random: every row needs `starts`, the generator of the"
            " stream 'adversary'"
        )
    done: dict[int, Fit | TrialFailure] = {}
    if start:
        models.go_on_from(start, steps_per_epoch)
    for epoch in range(start.epoch + 1 if start else 1, max(c.max_epochs for c in configs) + 1):
        near = models.epoch(batch_size, classes, adversary)
        asked = []
        for model, running in zip(models.ids, near, strict=True):
            if model in done:
                continue
            if not math.isfinite(running.loss):
                done[model] = TrialFailure(
                    "nan", f"the training loss is {running.loss} after epoch {epoch}"
                )
            elif epoch == configs[model].max_epochs or _may_be_met(
                running, models.lags.get(model), models.row_of(model).data, configs[model]
            ):
                asked.append(model)
        for model, exact in zip(asked, models.evaluate(asked), strict=True):
            config, running = configs[model], near[models.ids.index(model)]
            models.lags[model] = Evaluation(
                *(a / b if b else 0.0 for a, b in zip(exact, running, strict=True))
            )
            reason = _met(exact, models.row_of(model).data, config)
            if not math.isfinite(exact.loss):
                done[model] = TrialFailure(
                    "nan", f"the training loss is {exact.loss} at the final weights"
                )
            elif reason or epoch == config.max_epochs:
                done[model] = Fit(
                    exact.loss, exact.error, epoch, epoch * steps_per_epoch, reason or "epoch_cap"
                )
        if len(done) == len(configs):
            break
        models.let_go(set(done))
        keep(models.checkpoint(epoch))
    models.let_go(set(done), all_of_them=True)
    return [done[m] for m in range(len(configs))]


def time_epoch(program: Program, row: StackGroup, batch_size: int) -> float:
    """Seconds of one epoch, the median of five after a first one."""
    models = _Models(program, [row], list(range(len(program(row.data.x_train[None, :1])))))
    seconds = []
    for _ in range(6):
        clock = time.perf_counter()
        models.epoch(batch_size, row.data.classes)
        seconds.append(time.perf_counter() - clock)
    return statistics.median(seconds[1:])


class _Models:
    """The models still training: their program, Adam's moments, and which model each of its slots
    is.

    A slot of a model that is done goes on training until its whole column can be dropped; it is
    ignored.
    """

    def __init__(self, program: Program, rows: list[StackGroup], ids: list[int]):
        self.program, self.rows, self.ids = program, rows, ids
        self.all_rows, self.per_row = rows, len(ids) // len(rows)
        self.first = {name: torch.zeros_like(p) for name, p in program.parameters.items()}
        self.second = {name: torch.zeros_like(p) for name, p in program.parameters.items()}
        self.steps = [torch.zeros((), device=p.device) for p in program.parameters.values()]
        self.finished: set[int] = set()
        self.lags: dict[int, Evaluation] = {}

    def row_of(self, model: int) -> StackGroup:
        return self.all_rows[model // self.per_row]

    def epoch(
        self, batch_size: int, classes: int | None, adversary: Adversary | None = None
    ) -> list[Evaluation]:
        """One pass; the running figures of every slot, in order of `ids`, on the inputs that it
        was trained on."""
        slots = len(self.ids) // len(self.rows)
        n = len(self.rows[0].data.x_train)
        losses = errors = torch.zeros(len(self.ids), device=self.rows[0].data.x_train.device)
        self.program.train(True)
        parameters = list(self.program.parameters.values())
        for x, y in self._batches(batch_size):
            target = y.repeat_interleave(slots, 0).flatten()
            if adversary:
                losses_of, starts = (
                    partial(sample_losses, y=target, classes=classes),
                    [row.starts for row in self.rows if row.starts],
                )
                x = perturb(
                    self.program, x, slots, losses_of, adversary, self.rows[0].data.box, starts
                )
            output = self.program(x).flatten(0, 1)
            loss = sample_losses(output, target, classes).unflatten(0, (len(self.ids), -1)).mean(1)
            self._step(torch.autograd.grad(loss.sum(), parameters, materialize_grads=True))
            losses = losses + loss.detach() * y.shape[1]
            if classes is not None:  # the stop rules of ±1 targets look at the loss alone
                errors = errors + wrong(output.detach(), target, classes).unflatten(
                    0, (len(self.ids), -1)
                ).sum(1)
        return [
            Evaluation(a / n, b / n) for a, b in zip(losses.tolist(), errors.tolist(), strict=True)
        ]

    def _batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(G, B, *input_shape) and (G, B): each row's samples in this epoch's order."""
        data = [row.data for row in self.rows]
        orders = [
            torch.randperm(len(d.x_train), generator=row.order).to(d.x_train.device)
            for d, row in zip(data, self.rows, strict=True)
        ]
        for begin in range(0, len(orders[0]), size):
            picked = [order[begin : begin + size] for order in orders]
            xs = [d.x_train[rows] for d, rows in zip(data, picked, strict=True)]
            ys = [d.y_train[rows] for d, rows in zip(data, picked, strict=True)]
            yield (xs[0][None], ys[0][None]) if len(xs) == 1 else (torch.stack(xs), torch.stack(ys))

    @torch.no_grad()
    def _step(self, gradients: Sequence[Tensor]) -> None:
        """Adam (Kingma & Ba 2015), torch's own fused kernel, one call for all neighbouring rows
        of one learning rate."""
        parameters, first, second = (
            list(d.values()) for d in (self.program.parameters, self.first, self.second)
        )
        # The kernel reads memory in order, whatever the strides: a gradient must lie as its
        # parameter does.
        gradients = [
            g if g.stride() == p.stride() else torch.empty_like(p).copy_(g)
            for g, p in zip(gradients, parameters, strict=True)
        ]
        per_row, begin = len(self.ids) // len(self.rows), 0
        while begin < len(self.rows):
            end = begin
            while end < len(self.rows) and self.rows[end].lr == self.rows[begin].lr:
                end += 1
            whole = begin == 0 and end == len(self.rows)
            part = slice(None) if whole else slice(begin * per_row, end * per_row)
            if begin:
                for count in self.steps:
                    count -= 1  # every call counts one step further
            ours, grads, means, squares = (
                [t if whole else t[part] for t in ts]
                for ts in (parameters, gradients, first, second)
            )
            adam(
                ours,
                grads,
                means,
                squares,
                [],
                self.steps,
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=self.rows[begin].lr,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )
            begin = end

    def evaluate(self, models: Sequence[int]) -> list[Evaluation]:
        """Exact figures of some models over their own training sets, at the weights they have
        now."""
        if not models:
            return []
        slots = [slot for slot, model in enumerate(self.ids) if model in models]
        per_row = len(self.ids) // len(self.rows)
        if len(slots) * 4 > len(self.ids):  # one call for all of them beats picking out so many
            figures = evaluate(self.program, [row.data for row in self.rows])
            found = {self.ids[slot]: figures[slot] for slot in slots}
        else:
            found = {}
            for g in sorted({slot // per_row for slot in slots}):
                mine = [slot for slot in slots if slot // per_row == g]
                figures = evaluate(self.program.take(mine), [self.rows[g].data])
                found |= {
                    self.ids[slot]: figure for slot, figure in zip(mine, figures, strict=True)
                }
        return [found[m] for m in models]

    def let_go(self, done: set[int], all_of_them: bool = False) -> None:
        """Write the weights of newly finished models back to them, and drop every column that is
        not needed any more."""
        for slot, model in enumerate(self.ids):
            if model in done - self.finished:
                self.program.unstack(slot)
        self.finished |= done
        if all_of_them or not done:
            return
        slots = len(self.ids) // len(self.rows)
        groups = [range(g * slots, (g + 1) * slots) for g in range(len(self.rows))]
        alive = [[s for s in group if self.ids[s] not in done] for group in groups]
        width = max(map(len, alive))
        left = [g for g, living in enumerate(alive) if living]
        kept = [
            s
            for g in left
            for s in (alive[g] + [s for s in groups[g] if s not in alive[g]])[:width]
        ]
        if len(kept) == len(self.ids):
            return
        index = torch.tensor(kept, device=self.steps[0].device)
        self.program = self.program.take(kept)
        self.first, self.second = (
            {name: t[index] for name, t in moments.items()} for moments in (self.first, self.second)
        )
        self.rows, self.ids = [self.rows[g] for g in left], [self.ids[s] for s in kept]

    def checkpoint(self, epoch: int) -> Checkpoint:
        orders, starts = (
            [row.order.get_state() for row in self.rows],
            [row.starts.get_state() for row in self.rows if row.starts],
        )
        tensors = (self.program.parameters, self.program.buffers, self.first, self.second)
        return Checkpoint(epoch, *tensors, orders, torch.get_rng_state(), dict(self.lags), starts)

    @torch.no_grad()
    def go_on_from(self, start: Checkpoint, steps_per_epoch: int) -> None:
        now = (self.program.parameters, self.program.buffers, self.first, self.second)
        for mine, kept in zip(
            now,
            (start.parameters, start.buffers, start.first_moments, start.second_moments),
            strict=True,
        ):
            for name, tensor in mine.items():
                tensor.copy_(kept[name])
        for row, state in zip(self.rows, start.orders, strict=True):
            row.order.set_state(state)
        for drawn, state in zip(
            [row.starts for row in self.rows if row.starts], start.starts, strict=True
        ):
            drawn.set_state(state)
        torch.set_rng_state(start.dropout)
        self.lags = dict(start.lags)
        for count in self.steps:
            count.fill_(start.epoch * steps_per_epoch)


def _may_be_met(running: Evaluation, lag: Evaluation | None, data: Data, config: Config) -> bool:
    """Whether an epoch's running figures are so near the rule's level that the whole training set
    must be evaluated.

    They lag behind, because the model improves while they are taken; by how much changes little
    from one epoch to the next, so that a model that is stuck above its level is not evaluated in
    every epoch. Figures on an adversary's inputs say nothing about the clean ones, which an
    evaluation costs little to know beside such an epoch.
    """
    if config.adversary and config.stop != "epochs":
        return True
    if not _met(running, data, config, CHECK_MARGIN):
        return False
    by_loss = config.stop == "interpolate" or data.classes is None
    if lag is None or (config.stop == "interpolate" and data.classes is not None):
        return True
    expected = Evaluation(running.loss * lag.loss, running.error * lag.error)
    return bool(_met(expected, data, config, LAG_MARGIN if by_loss else CHECK_MARGIN))


def _met(at: Evaluation, data: Data, config: Config, margin: float = 1.0) -> str | None:
    """The stop reason, if the rule is met with its level raised `margin` times (from no wrong
    label to 2 % of them)."""
    if config.stop == "noise":
        figure = at.loss if data.classes is None else at.error
        return "below_noise" if figure <= (data.noise.level - data.noise.epsilon) * margin else None
    if config.stop == "interpolate":
        if data.classes is None:
            return "interpolated" if at.loss <= INTERPOLATION_MSE * margin else None
        return "interpolated" if at.error <= 0.02 * (margin - 1) else None
    return None


def sample_losses(output: Tensor, y: Tensor, classes: int | None) -> Tensor:
    """(B,) squared errors for a ±1 target, cross-entropies in nats for classes. output: (B, 1)
    or (B, K)."""
    if classes is None:
        return (output.reshape(-1) - y).square()
    return F.cross_entropy(output, y, reduction="none")


def predicted(output: Tensor, classes: int | None) -> Tensor:
    """(B,) predicted labels: ±1., or class numbers. An output of exactly 0 counts as +1."""
    if classes is None:
        return torch.where(output.reshape(-1) >= 0, 1.0, -1.0)
    return output.argmax(1)


def wrong(output: Tensor, y: Tensor, classes: int | None) -> Tensor:
    """(B,) bool: the predicted label is not y's. A real-valued target is judged by its sign."""
    target = y if classes is not None else torch.where(y >= 0, 1.0, -1.0)
    return predicted(output, classes) != target


@torch.no_grad()
def evaluate(program: Program, rows: Sequence[Data]) -> list[Evaluation]:
    """Mean loss and error of every model over its row's whole training set, in evaluation mode.

    The models lie row after row, equally many in each; the sets must be equally large.
    """
    program.train(False)
    xs, ys = zip(*((d.x_train, d.y_train) for d in rows), strict=True)
    n, classes = len(xs[0]), rows[0].classes
    loss = error = torch.zeros((), dtype=torch.float64, device=xs[0].device)
    size = max(EVALUATION_BATCH // len(rows), 64)
    for begin in range(0, n, size):
        part = slice(begin, begin + size)
        outputs = program(torch.stack([x[part] for x in xs]))
        models = len(outputs)
        target = (
            torch.stack([y[part] for y in ys]).repeat_interleave(models // len(rows), 0).flatten()
        )
        loss = loss + sample_losses(outputs.flatten(0, 1), target, classes).unflatten(
            0, (models, -1)
        ).sum(1)
        error = error + wrong(outputs.flatten(0, 1), target, classes).unflatten(
            0, (models, -1)
        ).sum(1)
    return [Evaluation(a / n, b / n) for a, b in zip(loss.tolist(), error.tolist(), strict=True)]
