"""The share of the GPU's peak that GPT-2 124M and a GPT of 1.17B use, in bfloat16, compiled."""

import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch

from harness.language import LanguageConfig
from tasks.gpt import stream_gpt
from tests.benchmarks.language_throughput import PEAKS, by_unilaw, flops_per_token, some_text
from tests.benchmarks.nano_gpt import NanoGPT, Shape
from tests.benchmarks.taking_turns import in_turns
from tests.gpu.line import Line, Place

SHAPES = {
    "GPT-2 124M": Shape(12, 768, 12, 1024, 50304, 32, 16),
    "GPT 1.17B": Shape(28, 1792, 28, 1024, 50304, 8, 10),
}
TINY = {"a tiny GPT": Shape(1, 16, 2, 16, 256, 2, 6)}
"""Layers, width, heads, context, vocabulary, windows a step, steps."""


def run(place: Place) -> Iterator[Line]:
    for name, shape in place.sized(SHAPES, TINY).items():
        n = shape.batch * shape.steps
        text = some_text(min(n * shape.context + 1, 8_000_000))
        tokens = np.resize(text, n * shape.context + 1)
        config = LanguageConfig(
            n=n,
            context=shape.context,
            batch_size=shape.batch,
            warmup=0.2,
            precision="bfloat16",
            compiled=place.is_gpu,
        )
        way = {
            name: lambda turns, shape=shape, tokens=tokens, config=config: by_unilaw(
                stream_gpt(shape.layers, shape.width, shape.heads, shape.context, shape.vocabulary),
                tokens,
                config,
                turns,
            )
        }
        run = in_turns(way, place.device, time.perf_counter)[name]
        speed = shape.batch * shape.context / statistics.median(run.seconds)
        yield Line(f"{name}: tokens/s", f"{speed:,.0f}")
        if place.is_gpu:
            with torch.device("meta"):
                p = sum(w.numel() for w in NanoGPT(shape).parameters())
            used = speed * flops_per_token(shape, p)
            gpu = torch.cuda.get_device_name()
            peak = next((flops for part, flops in PEAKS.items() if part in gpu), None)
            if peak:
                yield Line.at_least(f"{name}: of the GPU's peak", 100 * used / peak, 50, " %")
            torch.cuda.empty_cache()
