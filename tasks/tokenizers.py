"""Turn text into tokens, by a tokenizer that is always named explicitly: one never stands in for
another.

bytes         a token is a byte of UTF-8: 256 tokens; byte 0, which does not occur in text,
              separates documents
bpe-N         N tokens, at least 257: byte-pair encoding of bytes as in GPT-2 (Radford et al. 2019),
              trained on the corpus
hub:NAME      a published tokenizer from the Hugging Face hub, `transformers.AutoTokenizer`
folder:PATH   the same from a folder of its files
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import tokenizers

SEPARATOR = "<|endoftext|>"

SMALLEST_BPE = 257
"""Tokens of the smallest byte-pair encoding: every byte, and the separator."""

BPE_LEAST_COUNT = 2
"""Times that a pair must occur to be merged. A pair that occurs once is no pattern: merging it
would only copy the training text into the vocabulary."""

TOKENIZER_FILES = ("*.json", "*.txt", "*.model", "*.tiktoken")
"""A tokenizer's files in a folder, which may also hold a model's weights."""


class Tokenizer(NamedTuple):
    """A function from documents to tokens, with what a model needs to know about the tokens."""

    vocabulary: int
    """Tokens are 0 … vocabulary − 1, the separator among them."""
    separator: int
    """The token that stands between documents."""
    encode: Callable[[Sequence[bytes]], Iterable[Sequence[int] | np.ndarray]]
    """Map UTF-8 documents to the tokens of each, without separators. A separator that is spelled
    out in a document is ordinary text."""


def check_tokenizer(tokenizer: str) -> str:
    """Return the name unchanged. Raise ValueError, saying what is allowed, for any other."""
    bpe = re.fullmatch(r"bpe-([1-9]\d{0,8})", tokenizer)
    is_bpe = bpe and int(bpe[1]) >= SMALLEST_BPE
    is_published = re.fullmatch(r"(hub|folder):.+", tokenizer)
    if tokenizer == "bytes" or is_bpe or is_published:
        return tokenizer

    rest = tokenizer.partition(":")[2]
    allowed = ["bytes", f"bpe-{SMALLEST_BPE}", "bpe-1024", f"hub:{rest}", f"folder:{rest}"]
    raise ValueError(
        f"the tokenizer must be 'bytes', 'bpe-N' (N tokens, at least {SMALLEST_BPE}: every byte and"
        " a separator), 'hub:NAME' or 'folder:PATH', not"
        f" {tokenizer[:60]!r}{did_you_mean(tokenizer, allowed)}"
    )


def vocabulary_size(tokenizer: str) -> int:
    """Return the number of tokens. Only a published tokenizer has to be read for it."""
    if tokenizer == "bytes":
        return 256
    if tokenizer.startswith("bpe-"):
        return int(tokenizer.removeprefix("bpe-"))
    return _published(tokenizer).vocabulary


def tokenizer_identity(tokenizer: str) -> str:
    """Return a string that changes when a text may get other tokens: the name, or for a folder the
    hash of its files.

    A published tokenizer is assumed not to change under its name, so one that was used before needs
    no network.
    """
    if not tokenizer.startswith("folder:"):
        return tokenizer
    folder = Path(tokenizer.removeprefix("folder:"))
    digest = hashlib.sha256()
    paths = {path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)}
    for path in sorted(paths):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"folder {digest.hexdigest()}"


def make_tokenizer(tokenizer: str, documents: Sequence[bytes]) -> Tokenizer:
    """Return the named tokenizer. `documents`, in UTF-8, are the training text of a bpe-N. Raises
    UserError where it cannot be trained or loaded."""
    if tokenizer == "bytes":
        return Tokenizer(vocabulary=256, separator=0, encode=_encode_bytes)

    if tokenizer.startswith("bpe-"):
        bpe = train_bpe(documents, vocabulary_size(tokenizer))

        def encode_bpe(documents: Sequence[bytes]) -> list[list[int]]:
            return [encoding.ids for encoding in bpe.encode_batch_fast(_decoded(documents))]

        # The separator is token 0: a trainer puts special tokens first.
        return Tokenizer(bpe.get_vocab_size(), separator=0, encode=encode_bpe)

    return _published(tokenizer)


def _encode_bytes(documents: Sequence[bytes]) -> list[np.ndarray]:
    return [np.frombuffer(document, np.uint8) for document in documents]


def train_bpe(documents: Sequence[bytes], size: int) -> "tokenizers.Tokenizer":
    """Train byte-level BPE of exactly `size` tokens: the separator, 256 bytes, and merged pairs.
    The order of the documents does not matter.

    Raise UserError where the text has too few pairs that occur more than once.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=BPE_LEAST_COUNT,
        special_tokens=[SEPARATOR],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(_decoded(documents), trainer)
    if bpe.get_vocab_size() < size:
        raise UserError(
            f"the tokenizer 'bpe-{size}' needs more text: its training documents have patterns for"
            f" {bpe.get_vocab_size()} tokens; use 'bpe-{bpe.get_vocab_size()}' at most, or a larger"
            " corpus"
        )
    bpe.encode_special_tokens = True  # a separator spelled out in a document is text
    return bpe


@lru_cache(maxsize=2)
def _published(tokenizer: str) -> Tokenizer:
    """Return a tokenizer of the hub or of a folder. Raise UserError where it cannot be loaded."""
    from transformers import AutoTokenizer

    name_or_path = tokenizer.partition(":")[2]
    if tokenizer.startswith("folder:") and not Path(name_or_path).is_dir():
        raise UserError(
            f"the tokenizer '{tokenizer}' is not a folder; it needs the files that a tokenizer's"
            " save_pretrained writes"
        )
    try:
        loaded: Any = AutoTokenizer.from_pretrained(
            name_or_path, trust_remote_code=False, split_special_tokens=True
        )
    except Exception as e:
        # The hub's client raises many types when there is no network, and so do damaged files.
        is_hub = tokenizer.startswith("hub:")
        instead = "without a network use 'folder:PATH', " if is_hub else "use "
        raise UserError(
            f"the tokenizer '{tokenizer}' could not be loaded ({type(e).__name__});"
            f" {instead}'bytes' or 'bpe-N' (trained on the corpus)"
        ) from None
    if loaded.eos_token_id is None:
        raise UserError(
            f"the tokenizer '{tokenizer}' has no end-of-text token (eos_token) to put between"
            " documents"
        )

    def encode(documents: Sequence[bytes]) -> list[list[int]]:
        # Not verbose: transformers would warn of texts longer than the model's context, but these
        # are cut into windows later.
        return loaded(
            _decoded(documents),
            add_special_tokens=False,
            return_attention_mask=False,
            verbose=False,
        )["input_ids"]

    # The identifiers may have gaps, so the vocabulary can be larger than the number of tokens.
    return Tokenizer(max(loaded.get_vocab().values()) + 1, loaded.eos_token_id, encode)


def _decoded(documents: Sequence[bytes]) -> list[str]:
    return [document.decode() for document in documents]
