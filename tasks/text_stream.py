"""Train GPT-2 from scratch on a stream of text, in a single pass, with every position a target.

The law's noise condition does not hold here, so the place of these trials on the axis p/(n·d) is
arithmetic. Their results are loss, accuracy and sensitivity along a ladder of sizes and token
budgets.

    unilaw run gpt-ladder
"""

from typing import Any

from pydantic import field_validator, model_validator

from harness.language import CausalLM, Corpus, LanguageConfig, LanguageTask
from harness.task import Field, Size, Source
from tasks.corpora import load_corpus
from tasks.gpt import size_of_depth, stream_gpt
from tasks.text_sources import check_source, outside
from tasks.tokenizers import check_tokenizer, vocabulary_size


class TextStreamConfig(LanguageConfig):
    """The fields of a trial on a stream. One dial, `depth`, sets width and heads; either can also
    be set."""

    source: str = Source(
        "python-stdlib",
        description="python-stdlib (offline), hub:NAME, text:PATH, parquet:PATH or jsonl:PATH",
    )
    megabytes: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="10⁶ bytes of text to read from the source; all of a local source if left out",
    )
    tokenizer: str = Field(
        default="bytes",
        description="bytes, bpe-N (N tokens, trained on the source), hub:NAME or folder:PATH",
    )
    depth: int = Size(
        2,
        le=1000,
        description="transformer blocks; width and heads follow from it unless they are given",
    )
    width: int | None = Field(
        default=None,
        ge=2,
        le=100_000,
        description="numbers in the residual stream",
        json_schema_extra={"size": True},
    )
    heads: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="attention heads; must divide width",
        json_schema_extra={"size": True},
    )
    tied: bool = Field(
        default=True, description="whether the head is the transposed token embedding"
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of activations dropped in training"
    )

    _source = field_validator("source")(check_source)
    _tokenizer = field_validator("tokenizer")(check_tokenizer)

    @model_validator(mode="after")
    def _shape_is_whole(self) -> "TextStreamConfig":
        if not self.n or not self.max_epochs:
            raise ValueError(
                "'n' and 'max_epochs' must be above 0: this task trains its models from scratch"
            )
        width, heads = self.shape
        if width % heads:
            raise ValueError(f"'heads' is {heads} and must divide 'width', {width}")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Return width and heads."""
        width, heads = size_of_depth(self.depth)
        return self.width or width, self.heads or heads


class TextStream(LanguageTask):
    """GPT-2 trained from scratch on a stream of tokens."""

    name = "text-stream"
    Config = TextStreamConfig

    def reads(self, config: TextStreamConfig) -> list[str]:
        return outside(config.source, config.tokenizer)

    def family(self, config: TextStreamConfig) -> str:
        return "gpt-stream"

    def corpus(self, config: TextStreamConfig) -> Corpus:
        return load_corpus(config.source, config.tokenizer, config.megabytes)

    def model(self, config: TextStreamConfig) -> CausalLM:
        width, heads = config.shape
        vocabulary = vocabulary_size(config.tokenizer)
        return stream_gpt(
            config.depth,
            width,
            heads,
            config.context,
            vocabulary,
            tied=config.tied,
            dropout=config.dropout,
        )

    def byte_tokens(self, config: TextStreamConfig) -> bool:
        return config.tokenizer == "bytes"

    def width(self, config: Any) -> int:
        return config.shape[0]
