"""The files of a language model that was trained elsewhere, from the hub or a folder.

Only safetensors weights are read, and no code that comes with a model is ever run.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from harness.errors import UserError
from harness.language import CausalLM

MODEL_FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]
"""What is downloaded: no code, and no pickles, which can run code when they are read."""

VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
"""A tokenizer must have one of these files. Without any, transformers makes a tokenizer of no
words, to which every text is unknown."""


@lru_cache
def model_folder(model: str, revision: str | None) -> Path:
    """Return the folder with a model's files: the named folder, or one with the hub's files, which
    are downloaded once.

    Raise UserError when there is none, or when it lacks weights or a tokenizer that can be read.
    """
    if model.startswith("folder:"):
        folder = Path(model.removeprefix("folder:"))
        if not (folder / "config.json").is_file():
            raise UserError(
                f"the model '{model}' needs a folder with config.json and *.safetensors, as"
                " save_pretrained writes them"
            )
    else:
        folder = _download(model, revision)

    if not list(folder.glob("*.safetensors")):
        raise UserError(
            f"the model '{model}' has no *.safetensors weights; other formats are refused,"
            " because reading them can run code"
        )
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise UserError(
            f"the model '{model}' comes without its tokenizer; it needs one of"
            f" {', '.join(VOCABULARIES)}"
        )
    return folder


def _download(model: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=MODEL_FILES))
    except Exception as e:
        # The hub's client raises many types when there is no network, and for names that do not
        # exist.
        raise UserError(
            f"the model '{model}' could not be loaded from the hub ({type(e).__name__});"
            " without a network use 'folder:PATH'"
        ) from None


@lru_cache
def weights_hash(folder: Path) -> str:
    """Return the SHA-256 over the configuration and the weights."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@lru_cache
def model_shape(folder: Path) -> Any:
    """Return the model's transformers configuration. Raise UserError for an unknown model."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as e:
        raise UserError(
            f"the configuration in {folder} is not one of a known model:"
            f" {' '.join(str(e).split())[:300]}"
        ) from None


def longest_context(folder: Path) -> int | None:
    """Return how many tokens the model reads; None where its configuration does not say."""
    return getattr(model_shape(folder), "max_position_embeddings", None)


def load_model(model: str, folder: Path) -> CausalLM:
    """Return the model with its weights in float32, in evaluation mode; without weights on the meta
    device.

    `model` is its name in messages. Raise UserError when the files cannot be read, or when they
    lack weights, which transformers would fill at random.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    if torch.get_default_device().type == "meta":
        shape = model_shape(folder)
        return CausalLM(
            AutoModelForCausalLM.from_config(shape, dtype=torch.float32, trust_remote_code=False)
        )

    logging.disable_progress_bar()
    try:
        loaded, info = AutoModelForCausalLM.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues] - a pair, as asked
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as e:
        raise UserError(
            f"the model '{model}' could not be loaded: {' '.join(str(e).split())[:300]}"
        ) from None

    missing = sorted(info["missing_keys"])
    if missing:
        raise UserError(
            f"the model '{model}' lacks {len(missing)} of its weights, {missing[0]} among them"
        )
    return CausalLM(loaded).eval()
