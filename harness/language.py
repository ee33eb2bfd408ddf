"""The contract of language models: a corpus of tokens, and a model that predicts each token from
those before it.

A task whose every position is a training target subclasses `LanguageTask` and says where the tokens
come from and which model reads them; training (harness/training/language_loop.py), measuring, cost
and the report follow. A task that has one target per window is an ordinary one
(`harness.task.Task`; tasks/text.py is the example).
"""

import abc
import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor, nn

from harness.errors import UserError
from harness.task import BaseTask, Config, Field

if TYPE_CHECKING:  # its import takes seconds, and trials without text need none of it
    from transformers import PreTrainedModel

OF_SAMPLES = ("optimiser", "momentum", "warmup_steps", "init_scale", "check_every")
"""Fields that a language model's training does not have."""

GROUPS: dict[str, tuple[str, ...]] = {
    "norm": ("norm", "ln_"),
    "position": ("wpe", "embed_positions", "position_embeddings"),
    "head": ("head", "embed_out"),
    "embedding": ("wte", "embed", "projection"),
    "attention": ("attn", "attention"),
    "mlp": ("mlp", "fc", "dense"),
}
"""Group → words in the names of its parameters. The first group with a word in the name counts."""


class Corpus(NamedTuple):
    """Documents as tokens, some of them held out whole. The arrays are memory-mapped and shared by
    all trials of a node."""

    train: np.ndarray
    """(N,) uint16 or uint32: the training documents one after another, a separator after each."""
    held_out: np.ndarray
    """The same of the held-out documents."""
    vocabulary: int
    """Tokens are 0 … vocabulary − 1, the separator among them."""
    separator: int
    """A token that stands between documents and nowhere else."""
    held_out_bytes: int
    """UTF-8 bytes of the held-out documents, for bits per byte."""
    content_hash: str
    """SHA-256 over all of the above."""

    @property
    def tokens_per_byte(self) -> float:
        """Held-out tokens per byte of text, without the separators."""
        return float((self.held_out != self.separator).sum()) / self.held_out_bytes


def windows(tokens: np.ndarray, separator: int, length: int) -> np.ndarray:
    """Return (W, length) windows that do not overlap and hold no separator. Each document is cut
    from its beginning, and what is too short for a window is dropped."""
    return windows_at(tokens, window_begins(tokens, separator, length), length)


def training_window_count(tokens: int, context: int) -> int:
    """Return how many windows of `context` tokens, each with a target, a language model is trained
    on at the most."""
    return max(tokens - 1, 0) // context


def window_begins(tokens: np.ndarray, separator: int, length: int) -> np.ndarray:
    """Return (W,) the positions at which the windows of `windows` begin."""
    document_ends = np.flatnonzero(tokens == separator)
    document_begins = np.concatenate([[0], document_ends[:-1] + 1])
    counts = (document_ends - document_begins) // length

    first = np.repeat(document_begins, counts)
    windows_before = np.repeat(np.cumsum(counts) - counts, counts)
    within_document = np.arange(counts.sum()) - windows_before
    return first + within_document * length


def windows_at(tokens: np.ndarray, begins: np.ndarray, length: int) -> np.ndarray:
    """Return (W, length) the tokens from each of `begins` (W,) on."""
    return np.asarray(tokens)[begins[:, None] + np.arange(length)]


class LanguageConfig(Config):
    """Training over n windows, every position a target, usually in a single pass: AdamW with a
    linear warmup and a cosine down to a share of the peak."""

    n: int = Field(
        default=8192,
        ge=0,
        le=10**12,
        description="training windows; n·context tokens, each a target",
    )
    context: int = Field(default=128, ge=2, le=1_000_000, description="tokens that a window holds")
    # A configuration is frozen, so a field may have a narrower type than in Config.
    stop: Literal["epochs"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="epochs", description="epochs: a single pass has no other end"
    )
    max_epochs: int = Field(
        default=1, ge=0, le=1000, description="passes over the windows; more than 1 repeats tokens"
    )
    batch_size: int = Field(
        default=32, ge=1, le=1_000_000, description="windows per optimiser step"
    )
    micro_batch: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description=(
            "windows per forward and backward pass, gradients accumulated; batch_size if left out"
        ),
    )
    lr: float = Field(default=1e-3, gt=0, le=10, description="AdamW's learning rate at its peak")
    warmup: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="share of the steps in which the learning rate rises from 0",
    )
    final_lr: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="learning rate at the end of the cosine, as a share of the peak",
    )
    weight_decay: float = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=0.1, ge=0, le=10, description="AdamW's, on matrices alone"
    )
    beta2: float = Field(default=0.95, ge=0, lt=1, description="AdamW's second β; the first is 0.9")
    clip: float = Field(default=1.0, gt=0, le=1e6, description="largest norm of a step's gradient")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="of the matmuls in training (autocast); weights and measures stay in float32",
    )
    compiled: bool = Field(default=False, description="train through torch.compile")

    @property
    def passed_together(self) -> int:
        """Windows of one forward and backward pass."""
        return self.micro_batch or self.samples_per_step

    @property
    def evaluated_together(self) -> int:
        """Windows of one pass: the training text is never evaluated as a whole."""
        return self.passed_together

    @property
    def samples_in_memory(self) -> int:
        """Zero: the tokens are memory-mapped."""
        return 0

    @model_validator(mode="after")
    def _language_fields_go_together(self) -> "LanguageConfig":
        if self.frontier:
            raise ValueError(
                f"frontier {self.frontier!r} needs real-valued inputs; a model of tokens has none."
                " Leave it out, or use task 'text'"
            )
        if self.adversary:
            raise ValueError(
                f"adversary {self.adversary!r} moves real-valued inputs; a model of tokens has"
                " none: leave it out"
            )
        foreign = [name for name in OF_SAMPLES if getattr(self, name) is not None]
        if foreign:
            name = foreign[0]
            raise ValueError(
                f"'{name}' is {getattr(self, name)!r} and belongs to tasks of samples, such as"
                " 'text'; a language model is trained by AdamW with 'warmup', 'final_lr' and"
                " 'weight_decay'"
            )
        if self.micro_batch and self.samples_per_step % self.micro_batch:
            raise ValueError(
                f"'micro_batch' is {self.micro_batch} and must divide the {self.samples_per_step}"
                " windows of a step"
            )
        return self

    @property
    def samples_per_step(self) -> int:
        """`batch_size`, or n where it is smaller; at least 1, so that a model that is not trained
        has 0 steps in an epoch of 0 windows."""
        return max(1, super().samples_per_step)


def transformer_group(parameter: str) -> str:
    """Return embedding, position, attention, mlp, norm, head or other, from a parameter's name in
    transformers' models of the GPT kind.

    >>> transformer_group("transformer.h.0.attn.c_proj.weight")
    'attention'
    """
    for group, words in GROUPS.items():
        if any(word in parameter for word in words):
            return group
    return "other"


class CausalLM(nn.Module):
    """A transformers model that predicts the next token, as a function of tokens, or of
    embeddings for the instruments."""

    def __init__(self, transformer: "PreTrainedModel"):
        super().__init__()
        self.transformer = transformer

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, T, vocabulary) logits of (B, T) int64 tokens. Those at position t depend on
        the tokens up to t."""
        options = {}
        if tokens.device.type == "meta":
            # The model is only counted. Without these options transformers looks at the tokens'
            # values, and on the meta device there are none.
            length = tokens.shape[1]
            options = {
                "attention_mask": torch.ones(1, 1, length, length, dtype=torch.bool, device="meta"),
                "position_ids": torch.zeros(1, length, dtype=torch.int64, device="meta"),
            }
        return self.transformer(input_ids=tokens, use_cache=False, **options).logits

    def group_of(self, parameter: str) -> str:
        """Return the group that a parameter counts in."""
        return transformer_group(parameter)

    def table(self) -> Tensor:
        """Return (vocabulary, width) the learned input embedding of every token."""
        embedding = self.transformer.get_input_embeddings()
        assert isinstance(embedding, nn.Embedding)
        tokens = torch.arange(embedding.num_embeddings, device=embedding.weight.device)
        # Through the layer and not its weight: some models scale their embeddings.
        return embedding(tokens)

    def last(self, x: Tensor) -> Tensor:
        """Return (B, vocabulary) logits after the last of (B, T, width) embeddings."""
        return self.transformer(inputs_embeds=x, use_cache=False, logits_to_keep=1).logits[:, -1]


class LanguageTask(BaseTask):
    """A family of language models. Subclass it, set `name` and `Config`, and write `corpus`,
    `model` and `width`."""

    Config: ClassVar[type[LanguageConfig]]  # pyright: ignore[reportIncompatibleVariableOverride]
    input_dtype: ClassVar[torch.dtype] = torch.int64
    stackable: ClassVar[bool] = False
    """A trial is large, and its stop rule could not be shared with others."""
    max_gpus: ClassVar[float] = math.inf

    @abc.abstractmethod
    def corpus(self, config: Any) -> Corpus:
        """Return the tokens. Called once per process and content; should read from a file that the
        node's processes share."""

    @abc.abstractmethod
    def model(self, config: Any) -> CausalLM:
        """Return the model, untrained where `max_epochs` is above 0. Also called on the meta
        device, to count."""

    @abc.abstractmethod
    def width(self, config: Any) -> int:
        """Return how many numbers the embedding of one token holds."""

    def tokens_distinct(self, config: Any) -> int | None:
        """Return how many targets there are: every position of every window. A task whose models
        come trained gives a published figure, or None."""
        return config.n * config.context

    def samples_distinct(self, config: Any) -> float | None:
        """Return the number of windows: n·d is tokens · width, whether one counts by token or by
        window."""
        tokens = self.tokens_distinct(config)
        return tokens / config.context if tokens else None

    def tokens_seen(self, config: Any) -> int | None:
        """Return how many targets the model is trained on, repeats counted."""
        return config.n * config.context * config.max_epochs

    def byte_tokens(self, config: Any) -> bool:
        """Return whether a token is a byte."""
        return False

    def last_words(self, config: Any) -> list[tuple[Tensor, Tensor]]:
        """Return texts whose last word is to be predicted, each as the tokens before the word and
        the word's own. Together they must not be longer than the model reads."""
        return []

    def fingerprint(self, config: Any) -> str:
        """Return the hash of the corpus.

        Raises UserError when the corpus has fewer training windows than a trial is trained on.
        """
        corpus = self.corpus(config)
        available = training_window_count(len(corpus.train), config.context)
        if config.n > available and config.max_epochs:
            raise UserError(
                f"the corpus has {available:,} training windows of {config.context} tokens, and n"
                f" is {config.n:,}"
            )
        return corpus.content_hash

    def input_shape(self, config: Any) -> tuple[int, ...]:
        """Return the shape of one window of tokens."""
        return (config.context,)

    def d_ambient(self, config: Any) -> int:
        """Return how many numbers a window of embeddings holds."""
        return config.context * self.width(config)
