"""Causal language models that were trained elsewhere: any from the hub or a folder, measured and
never trained.

Only safetensors weights are read, and no code that comes with a model is ever run. What a model was
trained on is not in its files: the number of tokens comes from the short table below, or from the
sweep file, or stays unknown.

    - task: pretrained
      grid: {model: ["EleutherAI/pythia-70m", "EleutherAI/pythia-160m", "folder:my-model"]}
      fixed: {source: "text:my-texts", last_words: "hub:EleutherAI/lambada_openai@en#test"}
"""

import hashlib
import re
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import field_validator, model_validator
from safetensors import SafetensorError
from torch import Tensor

from harness.errors import UserError
from harness.language import CausalLM, Corpus, LanguageConfig, LanguageTask
from harness.task import Field, Source
from tasks.corpora import check_source, documents, load_corpus
from tasks.tokenizers import make_tokenizer


class TrainedOn(NamedTuple):
    """Tokens of training text, and tokens seen in training, None where it is not known; and
    where that is published."""

    distinct: int
    seen: int | None
    source: str


TRAINED_ON = {
    r"EleutherAI/pythia-[\d.]+[mb]": TrainedOn(
        299_892_736_000, 299_892_736_000, "Biderman et al. 2023 (arXiv 2304.01373), section 2"
    ),
    r"facebook/opt-[\d.]+[mb]": TrainedOn(
        180_000_000_000, None, "Zhang et al. 2022 (arXiv 2205.01068), section 2.3"
    ),
    r"huggyllama/llama-(7|13)b": TrainedOn(
        1_000_000_000_000, 1_000_000_000_000, "Touvron et al. 2023 (arXiv 2302.13971), table 2"
    ),
    r"huggyllama/llama-(30|65)b": TrainedOn(
        1_400_000_000_000, 1_400_000_000_000, "Touvron et al. 2023 (arXiv 2302.13971), table 2"
    ),
}
"""By the model's name on the hub. GPT-2's were never published; a data set read more than once
(Pythia's deduplicated models) is not listed."""

MODEL_FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]

VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
"""One of these a tokenizer must have: without any, transformers makes one of no words, and every
text is unknown to it."""


class PretrainedConfig(LanguageConfig):
    """Training fields have one value: none."""

    n: int = Field(default=0, ge=0, le=0, description="0: nothing is trained")
    max_epochs: int = Field(default=0, ge=0, le=0, description="0: nothing is trained")
    model: str = Field(
        default="openai-community/gpt2",
        description="a causal language model: its name on the hub, or folder:PATH",
        json_schema_extra={"size": True, "source": True},  # its weights' hash stands for it
    )
    revision: str | None = Field(
        default=None,
        description="branch, tag or commit on the hub; main if left out",
        json_schema_extra={"source": True},
    )
    trained_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens it was trained on, if known; else a published value where there is one",
    )
    context: int = Field(
        default=128,
        ge=2,
        le=1_000_000,
        description="tokens in a window that is measured; at most what the model reads",
    )
    source: str = Source(
        "python-stdlib",
        description=(
            "text: python-stdlib (offline), hub:NAME, text:PATH, parquet:PATH or jsonl:PATH"
        ),
    )
    megabytes: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="of text that are read from the source; all of a local one if left out",
    )
    last_words: str | None = Field(
        default=None,
        description=(
            "texts whose last word is to be predicted, as in LAMBADA: a source, one text a document"
        ),
        json_schema_extra={"source": True},
    )
    last_words_most: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="texts of last_words that are read, from the beginning",
    )

    _source = field_validator("source")(check_source)

    @field_validator("last_words")
    @classmethod
    def _known_texts(cls, value: str | None) -> str | None:
        try:
            return check_source(value) if value else None
        except ValueError as e:
            raise ValueError(f"'last_words': {e}") from None

    @model_validator(mode="after")
    def _names_a_model(self) -> "PretrainedConfig":
        if self.model.startswith("folder:") and self.revision:
            raise ValueError("'revision' belongs to a model of the hub; a folder has one")
        if not re.fullmatch(r"folder:.+|\w[\w.-]*(/\w[\w.-]*)?", self.model):
            raise ValueError(
                "'model' must be a name on the hub, like 'openai-community/gpt2', or"
                f" 'folder:PATH', not {self.model[:60]!r}"
            )
        return self


class Pretrained(LanguageTask):
    """Measure a causal language model as it is."""

    name = "pretrained"
    Config = PretrainedConfig

    def corpus(self, config: PretrainedConfig) -> Corpus:
        folder = model_folder(config.model, config.revision)
        rows = _shape(folder).vocab_size
        corpus = load_corpus(config.source, f"folder:{folder}", config.megabytes)
        if corpus.vocabulary > rows:
            raise UserError(
                f"the model '{config.model}' has {rows:,} tokens and its tokenizer"
                f" {corpus.vocabulary:,}: they do not go together"
            )
        return corpus

    def fingerprint(self, config: PretrainedConfig) -> str:
        about = [
            self.corpus(config).content_hash,
            weights_hash(model_folder(config.model, config.revision)),
        ]
        if config.last_words:
            about += [
                hashlib.sha256(
                    b"\0".join(_texts(config.last_words, config.last_words_most))
                ).hexdigest()
            ]
        return " ".join(about)

    def tokens_distinct(self, config: PretrainedConfig) -> int | None:
        known = trained_on(config.model)
        return config.trained_tokens or (known.distinct if known else None)

    def tokens_seen(self, config: PretrainedConfig) -> int | None:
        known = trained_on(config.model)
        return config.trained_tokens or (known.seen if known else None)

    def width(self, config: PretrainedConfig) -> int:
        shape = _shape(model_folder(config.model, config.revision))
        # OPT's embedding may be narrower than its blocks
        return getattr(shape, "word_embed_proj_dim", None) or shape.hidden_size

    def model(self, config: PretrainedConfig) -> CausalLM:
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        folder = model_folder(config.model, config.revision)
        longest = getattr(_shape(folder), "max_position_embeddings", None)
        if longest and config.context > longest:
            raise UserError(
                f"the model '{config.model}' reads {longest} tokens and 'context' is"
                f" {config.context}; lower it"
            )
        if torch.get_default_device().type == "meta":
            return CausalLM(
                AutoModelForCausalLM.from_config(
                    _shape(folder), dtype=torch.float32, trust_remote_code=False
                )
            )
        logging.disable_progress_bar()
        try:
            loaded, about = AutoModelForCausalLM.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues] - a pair, as asked
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as e:
            raise UserError(
                f"the model '{config.model}' could not be loaded: {' '.join(str(e).split())[:300]}"
            ) from None
        if missing := sorted(about["missing_keys"]):  # which transformers would leave at random
            raise UserError(
                f"the model '{config.model}' lacks {len(missing)} of its weights, {missing[0]}"
                " among them"
            )
        return CausalLM(loaded).eval()

    def last_words(self, config: PretrainedConfig) -> list[tuple[Tensor, Tensor]]:
        if not config.last_words:
            return []
        folder = model_folder(config.model, config.revision)
        tokenizer = make_tokenizer(f"folder:{folder}", [])
        longest = getattr(_shape(folder), "max_position_embeddings", None) or 2048
        examples = []
        for text in _texts(config.last_words, config.last_words_most):
            before, _, word = text.decode().rstrip().rpartition(" ")
            if before.strip() and word:
                passage, ending = (
                    torch.tensor(list(tokens), dtype=torch.int64)
                    for tokens in tokenizer.encode([before.encode(), f" {word}".encode()])
                )
                examples.append((passage[-(longest - len(ending) + 1) :], ending))
        if not examples:
            raise UserError(f"'last_words' is '{config.last_words}' and has no text of two words")
        return examples


def trained_on(model: str) -> TrainedOn | None:
    """What is published of a model's training, by its name; None for most."""
    return next((known for name, known in TRAINED_ON.items() if re.fullmatch(name, model)), None)


@lru_cache
def model_folder(model: str, revision: str | None) -> Path:
    """The folder with a model's files: the one that is named, or the hub's, downloaded once.
    Raises UserError when there is none."""
    if model.startswith("folder:"):
        folder = Path(model.removeprefix("folder:"))
        if not (folder / "config.json").is_file():
            raise UserError(
                f"the model '{model}' needs a folder with config.json and *.safetensors, as"
                " save_pretrained writes them"
            )
    else:
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(model, revision=revision, allow_patterns=MODEL_FILES))
        except Exception as e:
            # the hub's client raises many types when there is no network, and for names that do not
            # exist
            raise UserError(
                f"the model '{model}' could not be loaded from the hub ({type(e).__name__});"
                " without a network use 'folder:PATH'"
            ) from None
    if not list(folder.glob("*.safetensors")):
        raise UserError(
            f"the model '{model}' has no *.safetensors weights; other formats can run code when"
            " they are read, and are refused"
        )
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise UserError(
            f"the model '{model}' comes without its tokenizer; it needs one of"
            f" {', '.join(VOCABULARIES)}"
        )
    return folder


@lru_cache
def weights_hash(folder: Path) -> str:
    """SHA-256 over the configuration and the weights."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()


@lru_cache
def _shape(folder: Path) -> Any:
    """The model's transformers configuration."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as e:
        raise UserError(
            f"the configuration in {folder} is not one of a known model:"
            f" {' '.join(str(e).split())[:300]}"
        ) from None


@lru_cache(maxsize=2)
def _texts(source: str, most: int) -> list[bytes]:
    return list(islice(documents(source), most))
