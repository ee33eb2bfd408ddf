"""Causal language models that were trained elsewhere: any from the hub or a folder, measured and
never trained.

Only safetensors weights are read, and no code that comes with a model is ever run. A model's files
do not say how many tokens it was trained on. The number comes from the sweep file or from the short
table in `published_tokens.py`, or stays unknown.

    - task: pretrained
      grid: {model: ["EleutherAI/pythia-70m", "EleutherAI/pythia-160m", "folder:my-model"]}
      fixed: {source: "text:my-texts", last_words: "hub:EleutherAI/lambada_openai@en#test"}
"""

import hashlib
import re
from functools import lru_cache
from itertools import islice
from pathlib import Path

import torch
from pydantic import field_validator, model_validator
from torch import Tensor

from harness.errors import UserError
from harness.language import CausalLM, Corpus, LanguageConfig, LanguageTask
from harness.task import Field, Source
from tasks.corpora import load_corpus
from tasks.model_files import (
    load_model,
    longest_context,
    model_folder,
    model_shape,
    weights_hash,
)
from tasks.published_tokens import trained_on
from tasks.text_sources import check_source, documents, outside
from tasks.tokenizers import make_tokenizer

CONTEXT_IF_UNKNOWN = 2048
"""Tokens that are read of the passage before a last word, when a model does not say how many it can
read."""


class PretrainedConfig(LanguageConfig):
    """The fields of a pretrained model. Nothing is trained, so each field of training has only one
    value."""

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
        description="tokens the model was trained on; if left out, the published number if any",
    )
    context: int = Field(
        default=128,
        ge=2,
        le=1_000_000,
        description="tokens in a measured window; at most what the model reads",
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
        description="10⁶ bytes of text to read from the source; all of a local source if left out",
    )
    last_words: str | None = Field(
        default=None,
        description=(
            "a source of texts, one a document, whose last word is to be predicted, as in LAMBADA"
        ),
        json_schema_extra={"source": True},
    )
    last_words_most: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="number of texts of last_words to read, from the beginning",
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
            raise ValueError("'revision' is for models on the hub; a folder holds one revision")
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

    def reads(self, config: PretrainedConfig) -> list[str]:
        model = config.model if config.model.startswith("folder:") else f"hub:{config.model}"
        return outside(model, config.source, config.last_words)

    def corpus(self, config: PretrainedConfig) -> Corpus:
        folder = _folder(config)
        vocabulary = model_shape(folder).vocab_size
        tokenizer = f"folder:{folder}"
        corpus = load_corpus(config.source, tokenizer, config.megabytes, trained=False)
        if corpus.vocabulary > vocabulary:
            raise UserError(
                f"the model '{config.model}' has a vocabulary of {vocabulary:,} tokens and its"
                f" tokenizer one of {corpus.vocabulary:,}; they do not match"
            )
        return corpus

    def fingerprint(self, config: PretrainedConfig) -> str:
        hashes = [self.corpus(config).content_hash, weights_hash(_folder(config))]
        if config.last_words:
            texts = _texts(config.last_words, config.last_words_most)
            hashes.append(hashlib.sha256(b"\0".join(texts)).hexdigest())
        return " ".join(hashes)

    def tokens_distinct(self, config: PretrainedConfig) -> int | None:
        published = trained_on(config.model)
        return config.trained_tokens or (published.distinct if published else None)

    def tokens_seen(self, config: PretrainedConfig) -> int | None:
        published = trained_on(config.model)
        return config.trained_tokens or (published.seen if published else None)

    def width(self, config: PretrainedConfig) -> int:
        shape = model_shape(_folder(config))
        # OPT's embedding may be narrower than its blocks.
        return getattr(shape, "word_embed_proj_dim", None) or shape.hidden_size

    def model(self, config: PretrainedConfig) -> CausalLM:
        folder = _folder(config)
        longest = longest_context(folder)
        if longest and config.context > longest:
            raise UserError(
                f"the model '{config.model}' reads at most {longest} tokens, and 'context' is"
                f" {config.context}; lower it"
            )
        return load_model(config.model, folder)

    def last_words(self, config: PretrainedConfig) -> list[tuple[Tensor, Tensor]]:
        if not config.last_words:
            return []
        folder = _folder(config)
        tokenizer = make_tokenizer(f"folder:{folder}", [])
        longest = longest_context(folder) or CONTEXT_IF_UNKNOWN

        examples = []
        for text in _texts(config.last_words, config.last_words_most):
            before, _, word = text.decode().rstrip().rpartition(" ")
            if not before.strip() or not word:
                continue
            passage, ending = (
                torch.tensor(list(tokens), dtype=torch.int64)
                for tokens in tokenizer.encode([before.encode(), f" {word}".encode()])
            )
            # The last token of the ending is predicted and never read.
            room = longest - len(ending) + 1
            examples.append((passage[-room:], ending))
        if not examples:
            raise UserError(
                f"'last_words' is '{config.last_words}', which has no text of two words"
            )
        return examples


def _folder(config: PretrainedConfig) -> Path:
    return model_folder(config.model, config.revision)


@lru_cache(maxsize=2)
def _texts(source: str, most: int) -> list[bytes]:
    return list(islice(documents(source), most))
