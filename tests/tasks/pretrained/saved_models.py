"""Small models of several kinds, and trials that measure them."""

import json
from pathlib import Path
from typing import Any

from transformers import (
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    OPTConfig,
    PreTrainedConfig,
)

from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Trial
from tasks.pretrained import Pretrained

VOCABULARY = 400
LONGEST = 32
WIDTH = 16
TASK = Pretrained()

OF_ALL: dict[str, Any] = {"vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": None}
"""What every model has."""

NAMED_BY_WORDS: dict[str, Any] = {
    **OF_ALL,
    "max_position_embeddings": LONGEST,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
"""The fields of all kinds but GPT-2, which abbreviates them."""

OPT: dict[str, Any] = {**NAMED_BY_WORDS, "ffn_dim": 32, "pad_token_id": None}

SHAPES: dict[str, PreTrainedConfig] = {
    "gpt2": GPT2Config(**OF_ALL, n_positions=LONGEST, n_embd=WIDTH, n_layer=2, n_head=2),
    "gpt-neox": GPTNeoXConfig(**NAMED_BY_WORDS, intermediate_size=32),
    "llama": LlamaConfig(**NAMED_BY_WORDS, intermediate_size=32),
    "opt": OPTConfig(**OPT, word_embed_proj_dim=WIDTH),
    "opt with a narrow embedding": OPTConfig(**OPT, word_embed_proj_dim=8),
}


def sweep(source: str, model: str, **fixed: Any) -> Sweep:
    fixed = {"context": 16, **fixed, "source": source, "model": model}
    return parse_sweep(
        f"name: a\nseeds: [0]\ntasks:\n  - task: pretrained\n    fixed: {fixed}\n", "sweep.yaml", {}
    )


def trial(source: str, folder: Path, **fixed: Any) -> Trial:
    return sweep(source, f"folder:{folder}", **fixed).trials[0]


def edit_config(folder: Path, **changes: Any) -> None:
    """Change fields of a saved model's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
