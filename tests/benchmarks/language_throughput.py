"""Training a GPT on next tokens: unilaw's loop and model against a loop and a model that somebody
wrote by hand.

    .venv/bin/python -m tests.benchmarks.language_throughput [--device cuda] [--compiled] [--busy]

The same weights, windows, order and optimiser: nanoGPT (Karpathy 2022) as a model and a loop,
written out in nano_gpt.py and below; transformers' GPT-2 as it comes, in that loop; tasks/gpt.py's
in that loop; and `train_language` on the latter, as `unilaw run` has it. --compiled adds nanoGPT
and `train_language` through torch.compile, which takes minutes more on a CPU. On a CPU the ways
take turns step by step, so that all see the same machine: a speed is the median over steps, a ratio
the median of the steps' ratios. --busy counts one thread's processor time instead, for a machine
that others use at the same time. Losses are compared step by step. On CUDA, one way after the other
and in bfloat16: GPT-2 124M, 350M, 774M and 1B, with the share of the GPU's peak that they use. A
table, and a line of JSON.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.language import LanguageConfig
from harness.training.language_loop import train_language
from harness.training.language_steps import learning_rate
from tasks.gpt import stream_gpt
from tests.benchmarks.nano_gpt import NanoGPT, Shape, Stock, with_weights
from tests.benchmarks.taking_turns import Run, Turns, Way, in_turns

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


def by_hand(
    model: nn.Module, tokens: np.ndarray, config: LanguageConfig, turns: Turns
) -> list[float]:
    """nanoGPT's loop. AdamW is fused on the CPU too, which nanoGPT's is not: its own is slower
    there."""
    device = turns.device
    model = model.to(device).train()
    forward = torch.compile(model, dynamic=False) if config.compiled else model
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    rest = [p for p in model.parameters() if p.dim() < 2]
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
            x = x.pin_memory().to(device, non_blocking=True)
            y = y.pin_memory().to(device, non_blocking=True)

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
    """Tokens per second of every way of training, and their ratios to nanoGPT's."""
    torch.manual_seed(0)
    nano = NanoGPT(shape)
    ways = ways_to_train(nano, shape, device, compiled)
    if device.type == "cpu":
        runs = in_turns(ways, device, clock)
    else:  # all at once would not fit into a GPU's memory, and a GPU is seldom shared
        runs = dict[str, Run]()
        for name, way in ways.items():
            runs |= in_turns({name: way}, device, clock)

    nanos = runs["nanoGPT"]
    differences = [
        abs(a - b) for run in runs.values() for a, b in zip(run.losses, nanos.losses, strict=True)
    ]
    tokens = shape.batch * shape.context
    speed = {name: tokens / statistics.median(run.seconds) for name, run in runs.items()}
    p = sum(w.numel() for w in nano.parameters())
    flops_per_s = {name: flops_per_token(shape, p) * s for name, s in speed.items()}
    figures = {
        "parameters": p,
        "tokens_per_s": speed,
        "ratios": {
            name: statistics.median(nanos.seconds / run.seconds) for name, run in runs.items()
        },
        "largest_difference_in_loss": max(differences),
        "flops_per_s": flops_per_s,
    }
    if device.type == "cuda":
        gpu = torch.cuda.get_device_name()
        peak = next((flops for part, flops in PEAKS.items() if part in gpu), None)
        figures["model_flops_utilisation"] = {
            name: flops / peak if peak else None for name, flops in flops_per_s.items()
        }
    return figures


def ways_to_train(
    nano: NanoGPT, shape: Shape, device: torch.device, compiled: bool
) -> dict[str, Way]:
    """Every way of training, each from its own copy of nanoGPT's weights."""
    n = shape.batch * shape.steps
    tokens = some_text(n * shape.context + 1)
    precision = "bfloat16" if device.type == "cuda" else "float32"
    config = LanguageConfig(
        n=n, context=shape.context, batch_size=shape.batch, warmup=0.2, precision=precision
    )

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
    return ways


def flops_per_token(shape: Shape, p: int) -> int:
    """As nanoGPT estimates it, after Chowdhery et al. 2022, appendix B: positions are looked up and
    not multiplied."""
    multiplied = p - shape.context * shape.width
    return 6 * multiplied + 12 * shape.layers * shape.width * shape.context


def main(device: torch.device, compiled: bool, busy: bool) -> None:
    if busy:
        torch.set_num_threads(1)
    clock = time.process_time if busy else time.perf_counter
    results = {}
    for shape in SHAPES[device.type]:
        figures = measured(shape, device, compiled, clock)
        name = f"{shape.layers} × {shape.width}"
        results[name] = figures
        difference = figures["largest_difference_in_loss"]
        print(
            f"{name}: {figures['parameters']:,} parameters, {shape.batch} windows of"
            f" {shape.context}; losses agree to {difference:.1e}",
            flush=True,
        )
        for way, speed in figures["tokens_per_s"].items():
            use = figures.get("model_flops_utilisation", {}).get(way)
            share = "" if use is None else f"  {100 * use:5.1f} % of the GPU's peak"
            print(
                f"  {way:<32} {speed:12,.0f} tokens/s  {figures['ratios'][way]:5.2f} ×"
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
    chosen = options.parse_args()
    main(torch.device(chosen.device), chosen.compiled, chosen.busy)
