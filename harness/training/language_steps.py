"""A language model with its optimizer: one training step, and the state between two steps.

The recipe is that of GPT-2 and GPT-3 (Brown et al. 2020, appendix B) in nanoGPT's form: AdamW
(Loshchilov & Hutter 2019) with weight decay on matrices only, warmup and cosine, clipped gradients,
bfloat16 by autocast. Nothing in a step waits for the device, so Python runs ahead of it.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.language import LanguageConfig
from harness.training.device_generator import generator_of
from harness.training.language_checkpoint import LanguageState
from harness.training.processes import Processes
from harness.training.recipe import warmed_up

LAST_SHARE = 10
"""The figures of a LanguageFit cover the last 1/LAST_SHARE of the steps."""


def learning_rate(config: LanguageConfig, step: int) -> float:
    """Return AdamW's learning rate in step 0 … steps − 1: nanoGPT's, with its lr_decay_iters =
    max_iters = steps.

    The first w = round(warmup · steps) steps rise linearly from 0 (`warmed_up`). Step w is at the
    peak. From there half a cosine falls to lr · final_lr, which the step after the last one would
    have.
    """
    steps = config.steps_per_epoch * config.max_epochs
    warmup = round(config.warmup * steps)
    if step < warmup:
        return warmed_up(config.lr, step, warmup)
    height = (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
    return config.lr * (config.final_lr + height * (1 - config.final_lr))


class LanguageTraining:
    """A model, its optimizer, and the losses of its steps so far, all on the device.

    Each of several processes holds its part of the weights, and its part of the sums over a step's
    windows. Losses and counts are summed over the processes when they are read.
    """

    def __init__(
        self,
        model: nn.Module,
        windows: np.ndarray,
        config: LanguageConfig,
        device: torch.device,
        processes: Processes,
    ):
        self.model = model
        self.windows = windows
        self.config = config
        self.device = device
        self.processes = processes

        self.steps = config.steps_per_epoch * config.max_epochs
        # The fit's own figures cover the steps from this one on.
        self.counted_from = self.steps - -(-self.steps // LAST_SHARE)
        self.losses = torch.zeros(self.steps, device=device)
        self.wrong = torch.zeros((), dtype=torch.int64, device=device)

        self.parameters: dict[str, Tensor] = {
            name: p for name, p in model.named_parameters() if p.requires_grad
        }
        self.optimizer = _adamw(list(self.parameters.values()), config, device)
        self.forward = self._forward
        if config.compiled:
            # The compiler gives up after a few models in one process, unless it forgets the earlier
            # ones.
            torch.compiler.reset()
            self.forward = torch.compile(self._forward, dynamic=False)

    def step(self, step: int, rows: np.ndarray) -> None:
        """Train one step on these rows of the windows, in micro-batches."""
        counted = step >= self.counted_from
        size = self.config.micro_batch or len(rows)
        for begin in range(0, len(rows), size):
            micro_batch = rows[begin : begin + size]
            own_rows = self.processes.slice_of(micro_batch)
            weight = len(own_rows) / len(rows)
            if len(own_rows):
                loss = self._loss(own_rows, counted)
            else:
                # A process without a window of its own still passes one, with weight 0, because the
                # others wait for it in every block.
                loss = self._loss(micro_batch[:1], counted=False)
            loss = loss * weight
            loss.backward()
            self.losses[step].add_(loss.detach())

        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, step)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def state(self, step: int) -> LanguageState:
        """Return the state after `step` steps. Only the first process gets weights."""
        gather = self.processes.gather
        return LanguageState(
            step=step,
            parameters=gather(self.parameters),
            buffers=gather(dict(self.model.named_buffers())),
            first_moments=gather(self._moments("exp_avg")),
            second_moments=gather(self._moments("exp_avg_sq")),
            losses=self.processes.all_reduce(self.losses[:step]),
            wrong=self.processes.all_reduce(self.wrong),
            dropout=self.processes.all_gather(generator_of(self.device).get_state()),
        )

    @torch.no_grad()
    def restore(self, step: int, saved: LanguageState | None) -> None:
        """Restore the state after `step` steps from `saved`, which only the first process has; the
        others pass None."""
        scatter = self.processes.scatter
        scatter(saved.parameters if saved else {}, self.parameters)
        scatter(saved.buffers if saved else {}, dict(self.model.named_buffers()))
        scatter(saved.first_moments if saved else {}, self._moments("exp_avg"))
        scatter(saved.second_moments if saved else {}, self._moments("exp_avg_sq"))
        for p in self.parameters.values():
            self.optimizer.state[p]["step"].fill_(step)

        if saved:  # in the first process alone, so that the sums so far count once
            self.losses[:step] = saved.losses.to(self.device)
            self.wrong.copy_(saved.wrong)

        self._restore_generator(
            self.processes.broadcast(saved.dropout if saved else torch.empty(0))
        )

    def _restore_generator(self, states: Tensor) -> None:
        """Set the device's generator to this process's part of the states of all processes."""
        size = len(generator_of(self.device).get_state())
        begin = self.processes.rank * size
        # A clone: torch 2.13 reads a view's state from the wrong place.
        own = states[begin : begin + size].clone()
        # Fewer processes wrote the checkpoint: nobody has drawn from this one's seed yet.
        if len(own):
            generator_of(self.device).set_state(own)

    def _forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss of (B, context) tokens x and the tokens after them, y; and the
        logits, without gradients."""
        logits = self.model(x)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten()), logits.detach()

    def _loss(self, rows: np.ndarray, counted: bool) -> Tensor:
        """Return the mean loss of some windows. The logits are freed when this returns, because
        they are the largest tensor of all.

        counted: whether wrong predictions are added to `self.wrong`.
        """
        tokens = torch.from_numpy(self.windows[rows].astype(np.int64))
        if self.device.type == "cuda":
            tokens = tokens.pin_memory()
        tokens = tokens.to(self.device, non_blocking=True)
        x = tokens[:, :-1]
        y = tokens[:, 1:]

        in_bfloat16 = self.config.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=in_bfloat16):
            loss, logits = self.forward(x, y)
        if counted:
            self.wrong += (logits.argmax(-1) != y).sum()
        return loss

    def _moments(self, kind: str) -> dict[str, Tensor]:
        return {name: self.optimizer.state[p][kind] for name, p in self.parameters.items()}


def _adamw(
    parameters: list[Tensor], config: LanguageConfig, device: torch.device
) -> torch.optim.AdamW:
    """Return the optimizer with moments of zero, which a checkpoint can fill."""
    # As in nanoGPT, embeddings are matrices and decay; biases and the gains of norms do not.
    matrices = [p for p in parameters if p.dim() >= 2]
    others = [p for p in parameters if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, config.beta2), fused=True)
    for p in parameters:
        optimizer.state[p] = {
            "step": torch.zeros((), device=device),
            "exp_avg": torch.zeros_like(p),
            "exp_avg_sq": torch.zeros_like(p),
        }
    return optimizer
