"""Text in the law's own setting: a GPT fits the token after each of n windows, some of those
targets redrawn at random.

One window is one sample with one target. Its tokens are embedded by a fixed random table, the same
for every model, and then projected by a learned layer: a learned table would move the input space,
its dimension and its distances along with the model's size. So x lies in R^(context·d_in), and n·d
is the number of tokens in the windows times d_in.

unilaw run gpt-law
"""

from functools import lru_cache

import numpy as np
import torch
from pydantic import field_validator, model_validator
from torch import Tensor, nn

from harness.errors import UserError
from harness.language import Corpus, windows
from harness.noise import resample_labels
from harness.task import Config, Data, Field, Seeds, Size, Source, Task, Text
from tasks.corpora import check_source, check_tokenizer, load_corpus, vocabulary_size
from tasks.gpt import WindowGPT

HELD_OUT = 1000
TABLE_SEED = 20210526


class TextConfig(Config):
    """The model: `layers` of GPT-2 of `width`, in float32 and without dropout."""

    n: int = Field(
        default=1024, ge=10, le=100_000_000, description="training windows, all different"
    )
    source: str = Source(
        "python-stdlib",
        description="python-stdlib (offline), hub:NAME, text:PATH, parquet:PATH or jsonl:PATH",
    )
    megabytes: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="of text that are read from the source; all of a local one if left out",
    )
    tokenizer: str = Field(
        default="bytes",
        description="bytes, bpe-N (N tokens, trained on the source), or the hub: or folder: of one",
    )
    context: int = Field(default=16, ge=1, le=100_000, description="tokens in a window")
    d_in: int = Field(
        default=8, ge=1, le=10_000, description="numbers in a token's fixed random embedding"
    )
    target_resample: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="probability that a target is redrawn from the whole vocabulary",
    )
    layers: int = Field(default=2, ge=1, le=1000, description="transformer blocks")
    width: int = Size(64, ge=2, le=100_000, description="numbers in the residual stream")
    heads: int = Field(default=2, ge=1, le=1000, description="attention heads; must divide width")
    batch_size: int = Field(
        default=64, ge=1, le=1_000_000, description="windows per optimiser step"
    )
    lr: float = Field(default=1e-3, gt=0, le=10, description="Adam's learning rate")

    _source = field_validator("source")(check_source)
    _tokenizer = field_validator("tokenizer")(check_tokenizer)

    @model_validator(mode="after")
    def _fields_go_together(self) -> "TextConfig":
        if self.width % self.heads:
            raise ValueError(f"'heads' is {self.heads} and must divide 'width', {self.width}")
        if self.stop == "noise" and not self.target_resample:
            raise ValueError(
                "stop 'noise' needs injected noise: set target_resample above 0, or use stop"
                " 'interpolate' or 'epochs'"
            )
        return self


class TextWindows(Task):
    """Predict the token after a window of text."""

    name = "text"
    Config = TextConfig

    def family(self, config: TextConfig) -> str:
        return "gpt"

    def input_shape(self, config: TextConfig) -> tuple[int, ...]:
        return (config.context, config.d_in)

    def fingerprint(self, config: TextConfig) -> str:
        return _corpus(config).content_hash

    def data(self, config: TextConfig, seeds: Seeds) -> Data:
        corpus = _corpus(config)
        train, held_out = _windows(
            config.source, config.tokenizer, config.megabytes, config.context + 1
        )
        drawn = _different(train, config.n, seeds.generator("data"), "training")
        table = token_table(corpus.vocabulary, config.d_in)
        y, noise = resample_labels(
            drawn[:, -1],
            corpus.vocabulary,
            config.target_resample,
            seeds.generator("noise"),
            kind="target_resample",
        )
        text = Text(held_out[:, :-1], table, byte_tokens=config.tokenizer == "bytes")
        return Data(
            table[drawn[:, :-1]],
            y,
            table[text.tokens],
            held_out[:, -1],
            noise,
            classes=corpus.vocabulary,
            text=text,
        )

    def model(self, config: TextConfig) -> nn.Module:
        vocabulary = vocabulary_size(config.tokenizer)
        return WindowGPT(
            config.d_in, config.width, config.layers, config.heads, config.context, vocabulary
        )


def token_table(vocabulary: int, d_in: int) -> Tensor:
    """(vocabulary, d_in) float32: a fixed Gaussian embedding of every token, of mean squared
    length 1."""
    return (
        torch.randn(vocabulary, d_in, generator=torch.Generator().manual_seed(TABLE_SEED))
        / d_in**0.5
    )


def _corpus(config: TextConfig) -> Corpus:
    return load_corpus(config.source, config.tokenizer, config.megabytes)


@lru_cache(maxsize=2)
def _windows(
    source: str, tokenizer: str, megabytes: float | None, length: int
) -> tuple[np.ndarray, Tensor]:
    """(W, length) training windows, and (HELD_OUT, length) held-out ones, the same for every
    trial."""
    corpus = load_corpus(source, tokenizer, megabytes)
    draw = torch.Generator().manual_seed(TABLE_SEED)
    held_out = _different(
        windows(corpus.held_out, corpus.separator, length), HELD_OUT, draw, "held-out"
    )
    return windows(corpus.train, corpus.separator, length), held_out


def _different(among: np.ndarray, n: int, generator: torch.Generator, of: str) -> Tensor:
    """(n, length) int64: windows drawn without replacement, no two with the same input, nested in
    n.

    One input with two targets can never be fitted, however large the model. Raises UserError where
    there are too few.
    """
    order = torch.randperm(len(among), generator=generator).numpy()
    seen: set[bytes] = set()
    kept: list[int] = []
    for row in order:
        key = among[row, :-1].tobytes()
        if key not in seen:
            seen.add(key)
            kept.append(row)
            if len(kept) == n:
                return torch.from_numpy(among[np.array(kept)].astype(np.int64))
    raise UserError(
        f"the source has {len(kept):,} different {of} windows of {among.shape[1] - 1} tokens, and"
        f" {n:,} are needed"
    )
