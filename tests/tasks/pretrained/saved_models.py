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

SHAPES: dict[str, PreTrainedConfig] = {
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=LONGEST,
        n_embd=WIDTH,
        n_layer=2,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "gpt-neox": GPTNeoXConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=LONGEST,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "llama": LlamaConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=LONGEST,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "opt": OPTConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=LONGEST,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=32,
        word_embed_proj_dim=WIDTH,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    ),
    "opt with a narrow embedding": OPTConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=LONGEST,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=32,
        word_embed_proj_dim=8,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    ),
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
