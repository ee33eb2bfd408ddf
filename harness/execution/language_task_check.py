"""The checks of a language task: its corpus, its model, and one forward and backward pass."""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.execution.limits import reset_peak_memory
from harness.execution.model_weights import initialised
from harness.execution.task_check import (
    CONFIGURATION,
    INPUT_SHAPE,
    META_DEVICE,
    Check,
    Finding,
    Tried,
    Wrong,
    cost_of,
    tried,
)
from harness.language import CausalLM, Corpus, LanguageConfig, windows_at
from harness.sweeps.registry import TaskRef


def checked_language(ref: TaskRef) -> Iterator[Finding]:
    """Yield what each check finds of a language task."""
    return tried(ref, CHECKS)


def _corpus(tried: Tried) -> str:
    corpus = tried.task.corpus(tried.config)
    if not isinstance(corpus, Corpus):
        raise Wrong(f"corpus() gave {type(corpus).__name__}; it must be harness.language.Corpus")
    for name in ("train", "held_out"):
        tokens = getattr(corpus, name)
        if tokens.ndim != 1 or tokens.dtype.kind != "u":
            raise Wrong(
                f"corpus() gave {name} of shape {tokens.shape} and type {tokens.dtype}; it must be"
                " (N,) uint16 or uint32"
            )
        if len(tokens) and int(tokens.max()) >= corpus.vocabulary:
            raise Wrong(
                f"corpus() says a vocabulary of {corpus.vocabulary:,}, and {name} holds the token"
                f" {int(tokens.max()):,}"
            )

    tried.task.fingerprint(tried.config)  # raises UserError where the text is too short
    tried.corpus = corpus
    return (
        f"{len(corpus.train):,} training and {len(corpus.held_out):,} held-out tokens of"
        f" {corpus.vocabulary:,}"
    )


def _model(tried: Tried) -> str:
    assert tried.config is not None
    model = initialised(tried.task, tried.config, tried.seeds)
    if not isinstance(model, CausalLM):
        raise Wrong(f"model() gave {type(model).__name__}; it must be harness.language.CausalLM")
    tried.model = model
    return f"{sum(p.numel() for p in model.parameters() if p.requires_grad):,} parameters to train"


def _window(tried: Tried) -> Tensor:
    """Return (1, context) the first tokens of the corpus."""
    assert isinstance(tried.config, LanguageConfig)
    begins = torch.zeros(1, dtype=torch.int64).numpy()
    return torch.from_numpy(
        windows_at(tried.corpus.train, begins, tried.config.context).astype("int64")
    )


def _output(tried: Tried) -> str:
    assert tried.model is not None
    tokens = _window(tried)
    tried.model.eval()
    with torch.no_grad():
        output = tried.model(tokens)
        changed = tokens.clone()
        changed[:, -1] = (changed[:, -1] + 1) % tried.corpus.vocabulary
        earlier = tried.model(changed)[:, :-1]

    expected = (*tokens.shape, tried.corpus.vocabulary)
    if tuple(output.shape) != expected:
        raise Wrong(f"the model gave {tuple(output.shape)} for one window; it must be {expected}")
    if not bool(output.isfinite().all()):
        raise Wrong("the untrained model gives NaN or infinite outputs")
    if not torch.allclose(output[:, :-1], earlier, rtol=1e-3, atol=1e-4):
        raise Wrong("the model sees later tokens: an output changes with a token after it")
    tried.output = expected
    return f"{expected} for one window, all finite, and blind to later tokens"


def _step(tried: Tried) -> str:
    """Pass one window twice, of which the first is not timed."""
    assert tried.model is not None and isinstance(tried.config, LanguageConfig)
    tokens = _window(tried)
    tried.model.train()
    seconds = 0.0
    loss = 0.0
    for _ in range(2):
        reset_peak_memory("cpu")
        clock = time.perf_counter()
        logits = tried.model(tokens)[:, :-1]
        losses = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        losses.backward()
        loss = losses.item()
        seconds = time.perf_counter() - clock

    if not math.isfinite(loss):
        raise Wrong(f"the loss of the untrained model is {loss}")
    windows = tried.config.n * tried.config.max_epochs
    return (
        f"{cost_of(seconds, 'one window')}, loss {loss:.3g} nats; a trial passes {windows:,} of"
        " them"
    )


CHECKS = (
    CONFIGURATION,
    INPUT_SHAPE,
    Check("corpus", ("config", "input_shape"), "in corpus()", _corpus),
    Check("model", ("config",), "in model()", _model),
    Check("output", ("corpus", "model"), "when its model is called", _output),
    META_DEVICE,
    Check("one pass", ("corpus", "model", "output"), "in a training step", _step),
)
