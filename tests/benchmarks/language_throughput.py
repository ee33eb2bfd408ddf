"""Training a GPT on next tokens: unilaw's loop and model against a loop and a model that somebody
wrote by hand.

    .venv/bin/python -m tests.benchmarks.language_throughput [--device cuda] [--compiled] [--busy]

The same weights, windows, order and optimiser: nanoGPT (Karpathy 2022) as a model and a loop,
written out below; transformers' GPT-2 as it comes, in that loop; tasks/gpt.py's in that loop; and
`train_language` on the latter, as `unilaw run` has it. --compiled adds nanoGPT and `train_language`
through torch.compile, which takes minutes more on a CPU. On a CPU the ways take turns step by step,
so that all see the same machine: a speed is the median over steps, a ratio the median of the steps'
ratios. --busy counts one thread's processor time instead, for a machine that others use at the same
time. Losses are compared step by step. On CUDA, one way after the other and in bfloat16: GPT-2
124M, 350M, 774M and 1B, with the share of the GPU's peak that they use. A table, and a line of
JSON.
"""

import argparse
import json
import os
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from harness.language import LanguageConfig
from harness.training.language_checkpoint import LanguageCheckpoint
from harness.training.language_loop import train_language
from harness.training.language_steps import learning_rate
from tasks.gpt import stream_gpt


class Shape(NamedTuple):
    layers: int
    width: int
    heads: int
    context: int
    vocabulary: int
    batch: int
    steps: int


SHAPES = {
    "cpu": [
        Shape(2, 64, 2, 128, 256, 16, 60),
        Shape(4, 128, 4, 128, 256, 16, 24),
        Shape(6, 192, 6, 128, 256, 16, 12),
        Shape(8, 256, 8, 128, 256, 16, 8),
    ],
    "cuda": [
        Shape(12, 768, 12, 1024, 50304, 16, 30),
        Shape(24, 1024, 16, 1024, 50304, 16, 20),
        Shape(36, 1280, 20, 1024, 50304, 8, 20),
        Shape(28, 1792, 28, 1024, 50304, 8, 20),
    ],
}
PEAKS = {"H100 PCIe": 756e12, "H100": 989e12, "H200": 989e12, "A100": 312e12}
"""bfloat16 FLOP/s of the makers' data sheets, without sparsity, by part of the GPU's name."""


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.width = heads, width
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.size()
        q, k, v = (
            part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(self.width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = (
            nn.LayerNorm(width),
            Attention(width, heads),
            nn.LayerNorm(width),
        )
        # GPT-2's tanh form; nanoGPT has the exact one, which takes about as long.
        parts = {
            "c_fc": nn.Linear(width, 4 * width),
            "gelu": nn.GELU(approximate="tanh"),
            "c_proj": nn.Linear(4 * width, width),
        }
        self.mlp = nn.ModuleDict(parts)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](self.mlp["gelu"](self.mlp["c_fc"](self.ln_2(x))))


class NanoGPT(nn.Module):
    """nanoGPT's model with biases and without dropout; parameters have GPT-2's names."""

    def __init__(self, shape: Shape):
        super().__init__()
        width = shape.width
        blocks = nn.ModuleList(Block(width, shape.heads) for _ in range(shape.layers))
        tables = {
            "wte": nn.Embedding(shape.vocabulary, width),
            "wpe": nn.Embedding(shape.context, width),
        }
        self.transformer = nn.ModuleDict({**tables, "h": blocks, "ln_f": nn.LayerNorm(width)})
        self.lm_head = nn.Linear(width, shape.vocabulary, bias=False)
        self.lm_head.weight = tables["wte"].weight
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.normal_(
                    p,
                    std=(
                        0.02 / (2 * shape.layers) ** 0.5 if name.endswith("c_proj.weight") else 0.02
                    ),
                )
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.transformer["wte"](tokens) + self.transformer["wpe"](positions)
        for block in self.transformer["h"]:  # pyright: ignore[reportGeneralTypeIssues]
            x = block(x)
        return self.lm_head(self.transformer["ln_f"](x))


class Stock(nn.Module):
    """transformers' GPT-2 with every default but dropout."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=shape.vocabulary,
                n_positions=shape.context,
                n_embd=shape.width,
                n_layer=shape.layers,
                n_head=shape.heads,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=None,
                eos_token_id=None,
            )
        )

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens).logits


def with_weights(model: nn.Module, gpt2: nn.Module, nano: NanoGPT) -> nn.Module:
    """A copy of nanoGPT's weights in transformers' model, whose layers keep their matrices
    transposed."""
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    gpt2.load_state_dict(
        {name: p.t() if name.endswith(turned) else p for name, p in nano.state_dict().items()}
    )
    return model


class Turns(LanguageCheckpoint):
    """One way's turns: a thread that trains runs until its next step has ended, and then waits to
    be called again.

    `train_language` asks it after each step whether a checkpoint is due; none ever is.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float]):
        self.device, self.clock, self.ended, self.seconds = device, clock, False, list[float]()
        self.go, self.back = threading.Semaphore(0), threading.Semaphore(0)

    def load(self, device: torch.device) -> None:
        return None

    @property
    def due(self) -> bool:
        self.seconds.append(self._now() - self.begin)
        self.back.release()
        self.wait()
        return False

    def wait(self) -> None:
        self.go.acquire()
        self.begin = self._now()

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return self.clock()


Way = Callable[[Turns], list[float]]
"""Trains, and gives the loss of every step at the weights that it began with."""


class Run(NamedTuple):
    losses: list[float]
    seconds: np.ndarray
    """Of every step but the first, which may compile, and the last."""


def in_turns(
    ways: dict[str, Way], device: torch.device, clock: Callable[[], float]
) -> dict[str, Run]:
    """Run them all, one step of each after one of the other."""
    turns = {name: Turns(device, clock) for name in ways}

    def run(way: Way, own: Turns) -> list[float]:
        own.wait()
        try:
            return way(own)
        finally:
            own.ended = True
            own.back.release()

    with ThreadPoolExecutor(len(ways)) as pool:
        futures = {name: pool.submit(run, way, turns[name]) for name, way in ways.items()}
        while waiting := [own for own in turns.values() if not own.ended]:
            for own in waiting:
                own.go.release()
                own.back.acquire()
        return {
            name: Run(future.result(), np.array(turns[name].seconds[1:]))
            for name, future in futures.items()
        }


def by_hand(
    model: nn.Module, tokens: np.ndarray, config: LanguageConfig, turns: Turns
) -> list[float]:
    """nanoGPT's loop. AdamW is fused on the CPU too, which nanoGPT's is not: its own is slower
    there."""
    device = turns.device
    model = model.to(device).train()
    forward = torch.compile(model, dynamic=False) if config.compiled else model
    decayed, rest = (
        [p for p in model.parameters() if (p.dim() >= 2) == matrix] for matrix in (True, False)
    )
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, config.beta2), fused=True)
    begins = torch.randperm(config.n, generator=order()) * config.context
    losses = list[Tensor]()
    for step, ix in enumerate(begins.split(config.batch_size)):
        x = torch.stack(
            [torch.from_numpy(tokens[i : i + config.context].astype(np.int64)) for i in ix]
        )
        y = torch.stack(
            [torch.from_numpy(tokens[i + 1 : i + 1 + config.context].astype(np.int64)) for i in ix]
        )
        if device.type == "cuda":
            x, y = (
                x.pin_memory().to(device, non_blocking=True),
                y.pin_memory().to(device, non_blocking=True),
            )
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = forward(x)
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1), ignore_index=-1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())
        if step + 1 < config.steps_per_epoch and turns.due:
            raise AssertionError("no checkpoint is ever due")
    return torch.stack(losses).tolist()


def by_unilaw(
    model: nn.Module, tokens: np.ndarray, config: LanguageConfig, turns: Turns
) -> list[float]:
    """`train_language`; its curve has a point for every step of a run of up to a hundred."""
    return [
        point.loss
        for point in train_language(model, tokens, config, order(), turns.device, turns).curve
    ]


def order() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def some_text(length: int) -> np.ndarray:
    """(length,) uint16: bytes of Python's standard library."""
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    return np.frombuffer(b"".join(f.read_bytes() for f in files)[:length], np.uint8).astype(
        np.uint16
    )


def measured(
    shape: Shape, device: torch.device, compiled: bool, clock: Callable[[], float]
) -> dict[str, Any]:
    """Tokens per second of every way, and their ratios to nanoGPT's."""
    n = shape.batch * shape.steps
    tokens = some_text(n * shape.context + 1)
    precision = "bfloat16" if device.type == "cuda" else "float32"
    config = LanguageConfig(
        n=n, context=shape.context, batch_size=shape.batch, warmup=0.2, precision=precision
    )
    torch.manual_seed(0)
    nano = NanoGPT(shape)

    def fresh() -> NanoGPT:
        copy = NanoGPT(shape)
        copy.load_state_dict(nano.state_dict())
        return copy

    def stock() -> nn.Module:
        model = Stock(shape)
        return with_weights(model, model.model, nano)

    def ours() -> nn.Module:
        model = stream_gpt(shape.layers, shape.width, shape.heads, shape.context, shape.vocabulary)
        return with_weights(model, model.transformer, nano)

    ways: dict[str, Way] = {
        "nanoGPT": lambda turns: by_hand(fresh(), tokens, config, turns),
        "transformers' GPT-2, same loop": lambda turns: by_hand(stock(), tokens, config, turns),
        "tasks.gpt, same loop": lambda turns: by_hand(ours(), tokens, config, turns),
        "unilaw": lambda turns: by_unilaw(ours(), tokens, config, turns),
    }
    if compiled:
        through = config.model_copy(update={"compiled": True})
        # In this order: train_language makes the compiler forget what it compiled before.
        ways["unilaw, compiled"] = lambda turns: by_unilaw(ours(), tokens, through, turns)
        ways["nanoGPT, compiled"] = lambda turns: by_hand(fresh(), tokens, through, turns)
    # All at once would not fit into a GPU's memory, and a GPU is seldom shared.
    together = [ways] if device.type == "cpu" else [{name: way} for name, way in ways.items()]
    runs = {name: run for some in together for name, run in in_turns(some, device, clock).items()}
    nanos = runs["nanoGPT"]
    difference = max(
        abs(a - b) for run in runs.values() for a, b in zip(run.losses, nanos.losses, strict=True)
    )
    p = sum(w.numel() for w in nano.parameters())
    # As nanoGPT estimates it, after Chowdhery et al. 2022, appendix B: positions are looked up and
    # not multiplied.
    flops_per_token = (
        6 * (p - shape.context * shape.width) + 12 * shape.layers * shape.width * shape.context
    )
    speed = {
        name: shape.batch * shape.context / statistics.median(run.seconds)
        for name, run in runs.items()
    }
    found = {
        "parameters": p,
        "tokens_per_s": speed,
        "ratios": {
            name: statistics.median(nanos.seconds / run.seconds) for name, run in runs.items()
        },
        "largest_difference_in_loss": difference,
        "flops_per_s": {name: flops_per_token * s for name, s in speed.items()},
    }
    if device.type == "cuda":
        peak = next(
            (flops for part, flops in PEAKS.items() if part in torch.cuda.get_device_name()), None
        )
        found["model_flops_utilisation"] = {
            name: f / peak if peak else None for name, f in found["flops_per_s"].items()
        }
    return found


def main(device: torch.device, compiled: bool, busy: bool) -> None:
    if busy:
        torch.set_num_threads(1)
    clock = time.process_time if busy else time.perf_counter
    results = {}
    for shape in SHAPES[device.type]:
        found = measured(shape, device, compiled, clock)
        name = f"{shape.layers} × {shape.width}"
        results[name] = found
        difference = found["largest_difference_in_loss"]
        print(
            f"{name}: {found['parameters']:,} parameters, {shape.batch} windows of {shape.context};"
            f" losses agree to {difference:.1e}",
            flush=True,
        )
        for way, speed in found["tokens_per_s"].items():
            use = found.get("model_flops_utilisation", {}).get(way)
            share = "" if use is None else f"  {100 * use:5.1f} % of the GPU's peak"
            print(
                f"  {way:<32} {speed:12,.0f} tokens/s  {found['ratios'][way]:5.2f} ×"
                f" nanoGPT{share}",
                flush=True,
            )
        assert difference < (1e-3 if device.type == "cpu" else 5e-2), "not the same work"
    print(
        json.dumps(
            {
                "device": device.type,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "clock": clock.__name__,
                "models": results,
            }
        )
    )


if __name__ == "__main__":
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options.add_argument("--compiled", action="store_true")
    options.add_argument("--busy", action="store_true")
    given = options.parse_args()
    main(torch.device(given.device), given.compiled, given.busy)
