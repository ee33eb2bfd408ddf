"""Text in the law's own setting: a GPT fits the token after each of n windows, with some of these
targets redrawn at random.

One window is one sample with one target. Its tokens are embedded by a fixed random table, the same
for every model, and then projected by a learned layer. With a learned table the input space, its
dimension and its distances would change with the model's size. So x lies in R^(context·d_in), and
n·d is the number of tokens in the windows times d_in.

    unilaw run gpt-law
"""

from functools import lru_cache

import numpy as np
import torch
from pydantic import field_validator, model_validator
from torch import Tensor, nn

from harness.errors import UserError
from harness.language import Corpus, window_begins, windows
from harness.noise import resample_labels
from harness.task import Config, Data, Field, Seeds, Size, Source, Task, Text
from tasks.corpora import load_corpus
from tasks.gpt import WindowGPT
from tasks.text_sources import check_source, outside
from tasks.tokenizers import check_tokenizer, vocabulary_size

HELD_OUT = 1000
"""Number of held-out windows."""

TABLE_SEED = 20210526
"""Seed of the token table, and of the choice of held-out windows: both are the same for every
trial."""


class TextConfig(Config):
    """The fields of a trial on windows. The model is GPT-2 with `layers` blocks of `width`, in
    float32 and without dropout."""

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
        description="10⁶ bytes of text to read from the source; all of a local source if left out",
    )
    tokenizer: str = Field(
        default="bytes",
        description="bytes, bpe-N (N tokens, trained on the source), hub:NAME or folder:PATH",
    )
    context: int = Field(default=16, ge=1, le=100_000, description="tokens in a window")
    d_in: int = Field(
        default=8, ge=1, le=10_000, description="length of a token's fixed random embedding"
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
        if self.frontier and not self.target_resample:
            raise ValueError(
                f"frontier '{self.frontier}' needs injected noise: set target_resample above 0"
            )
        return self


class TextWindows(Task):
    """Predict the token after a window of text."""

    name = "text"
    Config = TextConfig

    def reads(self, config: TextConfig) -> list[str]:
        return outside(config.source, config.tokenizer)

    def family(self, config: TextConfig) -> str:
        return "gpt"

    def input_shape(self, config: TextConfig) -> tuple[int, ...]:
        return (config.context, config.d_in)

    def fingerprint(self, config: TextConfig) -> str:
        """Return the hash of the corpus. Raises UserError when it is too short for the windows."""
        where = (config.source, config.tokenizer, config.megabytes, config.context + 1)
        _held_out_windows(*where)
        available = _training_window_count(*where)
        if available < config.n:
            raise UserError(_too_few("training", config.n, available, config.context))
        return _corpus(config).content_hash

    def data(self, config: TextConfig, seeds: Seeds) -> Data:
        corpus = _corpus(config)
        train, held_out = _windows(
            config.source, config.tokenizer, config.megabytes, config.context + 1
        )
        sampled = _sample_different(train, config.n, seeds.generator("data"), "training")
        y, noise = resample_labels(
            sampled[:, -1],
            corpus.vocabulary,
            config.target_resample,
            seeds.generator("noise"),
            kind="target_resample",
        )
        table = token_table(corpus.vocabulary, config.d_in)
        text = Text(held_out[:, :-1], table, byte_tokens=config.tokenizer == "bytes")
        return Data(
            table[sampled[:, :-1]],
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
    """Return (vocabulary, d_in) float32: a fixed Gaussian embedding of every token, of mean squared
    length 1."""
    draw = torch.Generator().manual_seed(TABLE_SEED)
    return torch.randn(vocabulary, d_in, generator=draw) / d_in**0.5


def _corpus(config: TextConfig) -> Corpus:
    return load_corpus(config.source, config.tokenizer, config.megabytes)


@lru_cache(maxsize=2)
def _windows(
    source: str, tokenizer: str, megabytes: float | None, length: int
) -> tuple[np.ndarray, Tensor]:
    """Return all training windows, (W, length), and the held-out windows."""
    corpus = load_corpus(source, tokenizer, megabytes)
    train = windows(corpus.train, corpus.separator, length)
    return train, _held_out_windows(source, tokenizer, megabytes, length)


@lru_cache(maxsize=16)
def _training_window_count(
    source: str, tokenizer: str, megabytes: float | None, length: int
) -> int:
    """Return how many training windows there are, equal ones included."""
    corpus = load_corpus(source, tokenizer, megabytes)
    return len(window_begins(corpus.train, corpus.separator, length))


@lru_cache(maxsize=4)
def _held_out_windows(source: str, tokenizer: str, megabytes: float | None, length: int) -> Tensor:
    """Return the held-out windows, (HELD_OUT, length), which are the same for every trial. Raises
    UserError where there are fewer."""
    corpus = load_corpus(source, tokenizer, megabytes)
    held_out = windows(corpus.held_out, corpus.separator, length)
    draw = torch.Generator().manual_seed(TABLE_SEED)
    return _sample_different(held_out, HELD_OUT, draw, "held-out")


def _sample_different(
    all_windows: np.ndarray, n: int, generator: torch.Generator, kind: str
) -> Tensor:
    """Return (n, length) int64: windows drawn without replacement, no two with the same input. The
    windows for a smaller n are the first of those for a larger one.

    One input with two targets can never be fitted, however large the model. Raise UserError where
    there are fewer than n different windows; `kind` is their name in the message.
    """
    order = torch.randperm(len(all_windows), generator=generator).numpy()
    inputs: set[bytes] = set()
    rows: list[int] = []
    for row in order:
        window_input = all_windows[row, :-1].tobytes()
        if window_input in inputs:
            continue
        inputs.add(window_input)
        rows.append(row)
        if len(rows) == n:
            return torch.from_numpy(all_windows[np.array(rows)].astype(np.int64))

    raise UserError(_too_few(f"different {kind}", n, len(rows), all_windows.shape[1] - 1))


def _too_few(kind: str, needed: int, found: int, context: int) -> str:
    return f"the source has {found:,} {kind} windows of {context} tokens, and {needed:,} are needed"
