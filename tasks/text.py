"""Text in the law's own setting: a GPT fits the token after each of n windows, with some of these
targets redrawn at random.

One window is one sample. Its tokens are embedded by a random table that is no part of the model,
and then projected by a learned layer. With a learned table the input space, its dimension and its
distances would change with the model's size. So x lies in R^(context·d_in), and n·d is the number
of tokens in the windows times d_in.

`table: learned` gives the model GPT-2's own learned embeddings all the same, as real language
models have them. Its rows lie outside the law's input space, and the report draws them apart.

A sample has one target, or with `targets` one at each of its last positions, every one redrawn with
the same known probability. docs/recipes.md describes the fields of the recipe, the targets and the
architectures.

    unilaw run gpt-law
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import field_validator, model_validator
from torch import Tensor, nn

from harness.errors import UserError
from harness.noise import resample_labels
from harness.task import Config, Data, Field, Seeds, Size, Source, Task, Text
from tasks.corpora import load_corpus
from tasks.gpt import WindowGPT
from tasks.learned_gpt import LearnedWindowGPT
from tasks.llama import WindowLlama
from tasks.text_sources import check_source, outside
from tasks.text_windows import (
    held_out_windows,
    sample_different,
    too_few,
    training_window_count,
    windows_of,
)
from tasks.tokenizers import check_tokenizer, vocabulary_size

TABLE_SEED = 20210526
"""Seed of the token table, which is the same for every trial."""


class TextConfig(Config):
    """The fields of a trial on windows. The model is GPT-2 or Llama with `layers` blocks of
    `width`, in float32 and without dropout."""

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
        default=8, ge=1, le=10_000, description="length of a token's random embedding"
    )
    target_resample: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="probability that a target is redrawn from the whole vocabulary",
    )
    targets: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description=(
            "training targets of a window: its last so many positions, of which no two windows"
            " share the tokens before the first; 1 if left out"
        ),
    )
    table: Literal["fixed", "seed", "learned"] | None = Field(
        default=None,
        description=(
            "the embedding of tokens: fixed, the same random one for every trial; seed, a random"
            " one drawn from the trial's seed; or learned, GPT-2's own, outside the law's input"
            " space; fixed if left out"
        ),
    )
    architecture: Literal["gpt2", "llama"] | None = Field(
        default=None,
        description=(
            "gpt2, or llama (rotary positions, RMSNorm, SwiGLU) of the same width and nearly the"
            " same size; gpt2 if left out"
        ),
    )
    layers: int = Field(default=2, ge=1, le=1000, description="transformer blocks")
    width: int = Size(64, ge=2, le=100_000, description="numbers in the residual stream")
    heads: int = Field(default=2, ge=1, le=1000, description="attention heads; must divide width")
    batch_size: int = Field(
        default=64, ge=1, le=1_000_000, description="windows per optimiser step"
    )
    lr: float = Field(default=1e-3, gt=0, le=10, description="the optimiser's learning rate")

    rate_width: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description=(
            "width at which the learning rate is lr; at others it is lr·rate_width/width, as"
            " maximal update parametrisation has it for Adam; lr at every width if left out"
        ),
    )

    _source = field_validator("source")(check_source)
    _tokenizer = field_validator("tokenizer")(check_tokenizer)

    @model_validator(mode="after")
    def _fields_go_together(self) -> "TextConfig":
        if self.width % self.heads:
            raise ValueError(f"'heads' is {self.heads} and must divide 'width', {self.width}")
        if self.architecture == "llama" and self.width // self.heads % 2:
            raise ValueError(
                f"'width' is {self.width} and 'heads' {self.heads}; architecture 'llama' rotates"
                " pairs of numbers, so width / heads must be even"
            )
        if self.table == "learned":
            self._refuse_beside_learned()
        if self.targets and self.targets > self.context:
            raise ValueError(
                f"'targets' is {self.targets} and must be at most 'context', {self.context}"
            )
        if self.frontier and self.targets_of_window > 1:
            raise ValueError(
                f"'targets' is {self.targets} and frontier '{self.frontier}' searches for one"
                " target a window; leave one of them out"
            )
        if self.rate_width and self.optimiser == "sgd":
            raise ValueError(
                f"'rate_width' is {self.rate_width} and scales the rates of optimisers 'adam' and"
                " 'adamw'; the optimiser is 'sgd'"
            )
        for name, default in (("targets", 1), ("table", "fixed"), ("architecture", "gpt2")):
            # Written either way it is the same trial, the one of before there was the field.
            if getattr(self, name) == default:
                object.__setattr__(self, name, None)

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

    def _refuse_beside_learned(self) -> None:
        """Raise ValueError for fields that need a fixed input space, or another architecture."""
        if "d_in" in self.model_fields_set:
            raise ValueError(
                f"'d_in' is {self.d_in} and belongs to a random embedding; with table 'learned' a"
                " token is 'width' numbers: leave 'd_in' out"
            )
        if self.architecture == "llama":
            raise ValueError("table 'learned' is GPT-2's; leave out architecture 'llama'")
        for name in ("frontier", "adversary"):
            if value := getattr(self, name):
                raise ValueError(
                    f"{name} '{value}' moves inputs, and with table 'learned' the model moves them"
                    " as well; leave one of them out"
                )

    def plain(self, without: Iterable[str] = ()) -> dict[str, Any]:
        """Return the configuration as JSON values, without d_in where the model's own embedding
        takes its place."""
        absent = ["d_in"] if self.table == "learned" else []
        return super().plain([*without, *absent])

    @property
    def numbers_of_token(self) -> int:
        """Return how many numbers a token is to the model."""
        return self.width if self.table == "learned" else self.d_in

    @property
    def rate(self) -> float:
        """The learning rate at this width (Yang et al. 2022, arXiv 2203.03466, table 3, hidden
        weights; here it holds for all weights)."""
        return self.lr if self.rate_width is None else self.lr * self.rate_width / self.width

    @property
    def targets_of_window(self) -> int:
        """Return the number of targets of a window."""
        return self.targets or 1


class TextWindows(Task):
    """Predict the token after a window of text."""

    name = "text"
    Config = TextConfig

    def reads(self, config: TextConfig) -> list[str]:
        return outside(config.source, config.tokenizer)

    def family(self, config: TextConfig) -> str:
        return "gpt-learned" if config.table == "learned" else config.architecture or "gpt"

    def tokens_distinct(self, config: TextConfig) -> int:
        return config.n * config.targets_of_window

    def input_shape(self, config: TextConfig) -> tuple[int, ...]:
        """Return the shape of a window: of tokens where the model embeds them itself."""
        return (config.context,) if config.table == "learned" else (config.context, config.d_in)

    def d_ambient(self, config: TextConfig) -> int:
        return config.context * config.numbers_of_token

    def fingerprint(self, config: TextConfig) -> str:
        """Return the hash of the corpus. Raises UserError when it is too short for the windows."""
        where = (config.source, config.tokenizer, config.megabytes, config.context + 1)
        held_out_windows(*where)
        available = training_window_count(*where)
        if available < config.n:
            raise UserError(too_few("training", config.n, available, config.context))
        return load_corpus(config.source, config.tokenizer, config.megabytes).content_hash

    def data(self, config: TextConfig, seeds: Seeds) -> Data:
        corpus = load_corpus(config.source, config.tokenizer, config.megabytes)
        train, held_out = windows_of(
            config.source, config.tokenizer, config.megabytes, config.context + 1
        )
        targets = config.targets_of_window
        before = config.context + 1 - targets
        draw = seeds.generator("data")
        sampled = sample_different(train, config.n, draw, "training", before)
        y, noise = resample_labels(
            sampled[:, -targets:].flatten(),
            corpus.vocabulary,
            config.target_resample,
            seeds.generator("noise"),
            kind="target_resample",
        )
        y = y.unflatten(0, (config.n, targets))
        y_positions = y if targets > 1 else None
        if config.table == "learned":
            x_train, x_test = sampled[:, :-1].float(), held_out[:, :-1].float()
            return Data(
                x_train,
                y[:, -1],
                x_test,
                held_out[:, -1],
                noise,
                classes=corpus.vocabulary,
                y_positions=y_positions,
            )

        own = seeds.stream("table") if config.table == "seed" else TABLE_SEED
        table = token_table(corpus.vocabulary, config.d_in, own)
        text = Text(held_out[:, :-1], table, byte_tokens=config.tokenizer == "bytes")
        return Data(
            table[sampled[:, :-1]],
            y[:, -1],
            table[text.tokens],
            held_out[:, -1],
            noise,
            classes=corpus.vocabulary,
            text=text,
            y_positions=y_positions,
        )

    def as_measured(self, config: TextConfig, model: nn.Module, data: Data) -> Data:
        if config.table != "learned":
            return data
        assert isinstance(model, LearnedWindowGPT)
        table = model.table().detach()
        tokens = data.x_test.long()
        return replace(
            data,
            x_train=table[data.x_train.long()],
            x_test=table[tokens],
            text=Text(tokens, table, byte_tokens=config.tokenizer == "bytes"),
            learned_inputs=True,
        )

    def model(self, config: TextConfig) -> nn.Module:
        vocabulary = vocabulary_size(config.tokenizer)
        if config.table == "learned":
            return LearnedWindowGPT(
                config.width,
                config.layers,
                config.heads,
                config.context,
                vocabulary,
                config.targets_of_window,
            )
        architecture = WindowLlama if config.architecture == "llama" else WindowGPT
        return architecture(
            config.d_in,
            config.width,
            config.layers,
            config.heads,
            config.context,
            vocabulary,
            config.targets_of_window,
        )


def token_table(vocabulary: int, d_in: int, seed: int = TABLE_SEED) -> Tensor:
    """Return (vocabulary, d_in) float32: a Gaussian embedding of every token, of mean squared
    length 1."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(vocabulary, d_in, generator=draw) / d_in**0.5
