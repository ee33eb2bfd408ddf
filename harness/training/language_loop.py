"""The loop that trains a language model: windows of tokens, and in each of them every position a
target.

fit = train_language(model, corpus.train, config, Seeds(0).generator("order"), device,
LanguageCheckpoint.at(pattern, trial))

The recipe is that of GPT-2 and GPT-3 (Brown et al. 2020, appendix B) as nanoGPT has it: AdamW
(Loshchilov & Hutter 2019) with decay on matrices alone, warmup and cosine, clipped gradients,
bfloat16 by autocast. Nothing in a step waits for the device, so that Python runs ahead of it.
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import TrialFailure, UserError
from harness.language import LanguageConfig
from harness.training.checkpoint import PARTS, UNREADABLE, CheckpointFile
from harness.training.processes import ALONE, CPU, Processes

CURVE_POINTS = 100
LAST_SHARE = 10
"""A Fit's figures are over the last 1/LAST_SHARE of the steps."""


class LossPoint(NamedTuple):
    """One point of the training curve."""

    step: int
    """Steps done."""
    tokens: int
    """Targets seen so far, repeats counted."""
    loss: float
    """Mean training loss since the point before, nats per token, each step's at the weights that
    it began with."""


class LanguageFit(NamedTuple):
    """Where training ended."""

    loss: float
    """Mean training loss over the last ⌈steps/10⌉ steps, nats per token, each step's at the
    weights that it began with. In a single pass these are tokens not seen before; dropout, if
    the model has any, is on."""
    error: float
    """Share of next tokens that were not the likeliest one, over the same steps."""
    steps: int
    curve: list[LossPoint]
    """At most CURVE_POINTS, evenly spaced but for the last, which is at the end."""
    resumed_step: int | None
    """Step of the checkpoint that training went on from; None when it began at the beginning."""


class LanguageState(NamedTuple):
    """Training between two steps, whole but for the order of windows, which its generator gives
    again. Tensors by parameter or buffer name. Of several processes the first has it, on the
    CPU."""

    step: int
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    first_moments: dict[str, Tensor]
    second_moments: dict[str, Tensor]
    losses: Tensor
    """(step,) float32: mean loss of each step so far, nats per token."""
    wrong: Tensor
    """() int64: tokens predicted wrongly so far, in the steps that LanguageFit.error is about."""
    dropout: Tensor
    """State of the device's own generator, which modules that draw in training use; those of all
    processes one after another."""


class LanguageCheckpoint(CheckpointFile):
    """A trial of a language model, between two steps."""

    def save(self, state: LanguageState) -> None:
        """Write, if it is due."""
        if not self.due:
            return
        parts = {part: getattr(state, part) for part in PARTS}
        parts["rest"] = {"losses": state.losses, "wrong": state.wrong, "dropout": state.dropout}
        self.write(parts, step=state.step)

    def load(self, device: torch.device) -> LanguageState | None:
        """What was saved last; None when there is nothing, or when it is torn or was written by
        other code."""
        try:
            found = self.read((*PARTS, "rest"), device)
            if not found:
                return None
            parts, said = found
            weights, buffers, first, second = (parts[part] for part in PARTS)
            state = LanguageState(
                int(said["step"]), weights, buffers, first, second, **parts["rest"]
            )
            return state if len(state.losses) == state.step else None
        except UNREADABLE:
            return None


def train_language(
    model: nn.Module,
    tokens: np.ndarray,
    config: LanguageConfig,
    order: torch.Generator,
    device: torch.device,
    checkpoint: LanguageCheckpoint | None,
    processes: Processes = ALONE,
) -> LanguageFit:
    """Train the model in place, on the device; it ends there, in evaluation mode.

    model: (B, context) int64 tokens to (B, context, vocabulary) logits. tokens: (N,), any integers,
    usually memory-mapped. order: as its seed left it, also when training goes on from a checkpoint:
    the order of all windows is drawn anew. From a checkpoint training goes on exactly, bit for bit
    where the device's kernels give the same bits twice (a CPU's do). processes: of several, each
    calls this with its part of the model and the same config and order, the first alone with the
    checkpoint. From one that another number of processes wrote, training goes on up to rounding,
    but where the model draws.

    Raises UserError when there are fewer than n windows, ValueError when n or max_epochs is 0, and
    TrialFailure("nan") with the step whose loss is not finite.
    """
    if not config.n or not config.max_epochs:
        raise ValueError(
            f"nothing to train on: n is {config.n} and max_epochs is {config.max_epochs}"
        )
    windows = training_windows(tokens, config.context, config.n)
    training = _Training(model.to(device).train(), windows, config, device, processes)
    kept = checkpoint.load(device if processes == ALONE else CPU) if checkpoint else None
    begin = processes.broadcast(kept.step if kept else 0)
    if begin:
        training.go_on_from(begin, kept)
    steps, checks = training.steps, set(_curve_steps(training.steps))
    checked = 0
    for step, rows in enumerate(
        islice(_batches(len(training.windows), config, order), begin, None), start=begin
    ):
        training.step(step, rows)
        done = step + 1
        if done in checks:
            _check(processes.summed(training.losses[checked:done]), checked)
            checked = done
        if processes.broadcast_flag(checkpoint is not None and done < steps and checkpoint.due):
            state = training.state(done)
            if checkpoint:
                checkpoint.save(state)
    if not processes.all_finite(list(training.parameters.values()), device):
        raise TrialFailure("nan", f"a weight is not finite after the last step, {steps}")
    model.eval()
    return training.fit(begin or None)


def learning_rate(config: LanguageConfig, step: int) -> float:
    """AdamW's learning rate in step 0 … steps − 1, nanoGPT's with its lr_decay_iters = max_iters =
    steps.

    The first w = round(warmup · steps) steps rise in a line from 0, as lr · (step + 1) / (w + 1);
    step w is at the peak, and half a cosine goes from there to lr · final_lr, which the step after
    the last one would have.
    """
    steps = config.steps_per_epoch * config.max_epochs
    warmup = round(config.warmup * steps)
    if step < warmup:
        return config.lr * (step + 1) / (warmup + 1)
    height = (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
    return config.lr * (config.final_lr + height * (1 - config.final_lr))


def training_windows(tokens: np.ndarray, context: int, n: int) -> np.ndarray:
    """(W, context + 1), a view: windows that share one token with the next, so that each token but
    the first is a target once.

    Separators are tokens like others, and a rest at the end that is shorter than a window is left
    out. Raises UserError when W is below n.
    """
    available = max(len(tokens) - 1, 0) // context
    if n > available:
        raise UserError(
            f"the corpus has {available:,} training windows of {context} tokens, and n is {n:,}"
        )
    return np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[::context]


def _batches(
    available: int, config: LanguageConfig, order: torch.Generator
) -> Iterator[np.ndarray]:
    """(≤ batch_size,) rows of the windows of each step: the first n of one permutation of all
    windows, in its order, and in further passes the same ones in new orders."""
    # less than the permutation stays in memory
    chosen = torch.randperm(available, generator=order)[: config.n].clone()
    for epoch in range(config.max_epochs):
        rows = (chosen[torch.randperm(config.n, generator=order)] if epoch else chosen).numpy()
        for begin in range(0, config.n, config.batch_size):
            yield rows[begin : begin + config.batch_size]


def _curve_steps(steps: int) -> list[int]:
    """Numbers of steps done at which the curve has a point, and the losses are looked at."""
    apart = -(-steps // CURVE_POINTS)
    return [*range(apart, steps, apart), steps]


def _check(losses: Tensor, begin: int) -> None:
    """Raise TrialFailure for the first loss that is not finite; losses[0] is that of step
    `begin`, counted from 0."""
    wrong = [
        (step, loss)
        for step, loss in enumerate(losses.tolist(), start=begin + 1)
        if not math.isfinite(loss)
    ]
    if wrong:
        raise TrialFailure("nan", f"the training loss is {wrong[0][1]} in step {wrong[0][0]}")


class _Training:
    """A model with its optimizer, and what its steps have given so far, all on the device.

    Of several processes each has its part of the weights and of the sums: losses and counts are
    summed when they are asked for.
    """

    def __init__(
        self,
        model: nn.Module,
        windows: np.ndarray,
        config: LanguageConfig,
        device: torch.device,
        processes: Processes,
    ):
        self.model, self.windows, self.config, self.device, self.processes = (
            model,
            windows,
            config,
            device,
            processes,
        )
        self.steps = config.steps_per_epoch * config.max_epochs
        # the Fit's own figures are about the steps from this one on
        self.counted_from = self.steps - -(-self.steps // LAST_SHARE)
        self.losses = torch.zeros(self.steps, device=device)
        self.wrong = torch.zeros((), dtype=torch.int64, device=device)
        self.parameters: dict[str, Tensor] = {
            name: p for name, p in model.named_parameters() if p.requires_grad
        }
        # As nanoGPT does: embeddings are matrices and decay; biases and the gains of norms do not.
        decayed, rest = (
            [p for p in self.parameters.values() if (p.dim() >= 2) == matrix]
            for matrix in (True, False)
        )
        groups = [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=config.lr, betas=(0.9, config.beta2), fused=True
        )
        # what AdamW would begin with, made here so that a checkpoint finds its place
        for p in self.parameters.values():
            zeros = {name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[p] = {"step": torch.zeros((), device=device), **zeros}
        self.forward = self._forward
        if config.compiled:
            # the compiler gives up after a few models in one process, unless it forgets the earlier
            # ones
            torch.compiler.reset()
            self.forward = torch.compile(self._forward, dynamic=False)

    def _forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of (B, context) tokens x and the ones after them y; and the logits, without
        gradients."""
        logits = self.model(x)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten()), logits.detach()

    def _loss(self, rows: np.ndarray, counted: bool) -> Tensor:
        """Mean loss of some windows. Its logits are gone when this returns: they are the largest
        tensor there is."""
        picked = torch.from_numpy(self.windows[rows].astype(np.int64))
        if self.device.type == "cuda":
            picked = picked.pin_memory()
        picked = picked.to(self.device, non_blocking=True)
        x, y = picked[:, :-1], picked[:, 1:]
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"
        ):
            loss, logits = self.forward(x, y)
        if counted:
            self.wrong += (logits.argmax(-1) != y).sum()
        return loss

    def step(self, step: int, rows: np.ndarray) -> None:
        """One step on these windows, in micro-batches."""
        counted = step >= self.counted_from
        size = self.config.micro_batch or len(rows)
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            mine = self.processes.share(part)
            # A process without a window of its own passes one all the same, for nothing: the others
            # wait for it in every block.
            loss = self._loss(mine if len(mine) else part[:1], counted and len(mine) > 0) * (
                len(mine) / len(rows)
            )
            loss.backward()
            self.losses[step].add_(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, step)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def fit(self, resumed_step: int | None) -> LanguageFit:
        """The figures of all steps."""
        losses = self.processes.summed(self.losses).double().cpu().numpy()
        windows = np.minimum(
            self.config.batch_size,
            self.config.n - np.arange(self.config.steps_per_epoch) * self.config.batch_size,
        )
        tokens = np.tile(windows, self.config.max_epochs) * self.config.context
        curve, begin = [], 0
        for end in _curve_steps(self.steps):
            mean = np.average(losses[begin:end], weights=tokens[begin:end])
            curve.append(LossPoint(end, int(tokens[:end].sum()), float(mean)))
            begin = end
        last = slice(self.counted_from, None)
        loss, error = (
            np.average(losses[last], weights=tokens[last]),
            int(self.processes.summed(self.wrong)) / int(tokens[last].sum()),
        )
        return LanguageFit(float(loss), error, self.steps, curve, resumed_step)

    def _moments(self, name: str) -> dict[str, Tensor]:
        return {of: self.optimizer.state[p][name] for of, p in self.parameters.items()}

    def _generator(self) -> torch.Generator:
        """The device's own."""
        return (
            torch.cuda.default_generators[self.device.index or 0]
            if self.device.type == "cuda"
            else torch.default_generator
        )

    def state(self, step: int) -> LanguageState:
        whole, summed = self.processes.gather, self.processes.summed
        return LanguageState(
            step,
            whole(self.parameters),
            whole(dict(self.model.named_buffers())),
            whole(self._moments("exp_avg")),
            whole(self._moments("exp_avg_sq")),
            summed(self.losses[:step]),
            summed(self.wrong),
            self.processes.stacked(self._generator().get_state()),
        )

    @torch.no_grad()
    def go_on_from(self, step: int, kept: LanguageState | None) -> None:
        """Put everything back, from what the first process has."""
        mine = (
            self.parameters,
            dict(self.model.named_buffers()),
            self._moments("exp_avg"),
            self._moments("exp_avg_sq"),
        )
        for into, whole in zip(mine, kept[1:5] if kept else ({},) * 4, strict=True):
            self.processes.put(into, whole)
        for p in self.parameters.values():
            self.optimizer.state[p]["step"].fill_(step)
        if kept:  # the sums so far count once
            self.losses[:step] = kept.losses.to(self.device)
            self.wrong.copy_(kept.wrong)
        drawn = self.processes.broadcast(kept.dropout if kept else torch.empty(0))
        now = self._generator().get_state()
        # torch 2.13 reads a view's state from the wrong place
        own = drawn[self.processes.rank * len(now) :][: len(now)].clone()
        if len(own):  # else there were fewer processes, and nobody has drawn from this one's seed
            self._generator().set_state(own)
