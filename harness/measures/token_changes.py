"""Measure how the prediction of the next token responds when one token before it is changed, by
that token's distance from the target.

The input of a language model cannot be moved a little: the smallest change of a window is one
token. There are three kinds of change. A token is *replaced* by another, *swapped* with its
neighbour, or, where tokens are bytes, mistyped as by a slip on the keyboard (*typo*). Changes are
graded by distance as in Khandelwal et al. 2018 (arXiv 1805.04623); swaps and slips are those of
Belinkov & Bisk 2018 (arXiv 1711.02173).

    token_response(model, data.text, rows, data.y_test[rows], generator)
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from harness.measures.calibration import mean_and_se
from harness.measures.input_noise import kl_divergence
from harness.task import Text
from harness.training.stack import Model

DISTANCES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""In tokens; the last token before the target is at distance 1."""

KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Rows of letters; each begins about half a key further to the right than the one above it."""

PRINTABLE = range(0x20, 0x7F)

NUMBERS = 2**22
"""Most inputs, and most probabilities, that one call of the model may hold."""


class TokenChange(NamedTuple):
    """One kind of change at one distance."""

    kind: str
    distance: int
    tokens: Tensor
    """(B, T) int64: the windows after the change."""


class TokenResponse(NamedTuple):
    """A model's response to one kind of change at one distance, over all B windows. Fields are
    named as in the column `token_changes`."""

    kind: str
    distance: int
    accuracy: float
    """Share of the changed windows whose target is predicted."""
    accuracy_se: float
    """Its binomial standard error."""
    kl: float
    """Mean KL(p_clean ‖ p_changed) of the next token's distribution, in nats."""
    kl_se: float
    """Its standard error over windows; NaN for a single window."""
    flip_rate: float
    """Share of the windows whose predicted token differs from the one before the change."""


def token_changes(text: Text, rows: Tensor, generator: torch.Generator) -> list[TokenChange]:
    """Return the windows text.tokens[rows], changed in every way that they allow, on the CPU.

    The order is by kind, and by distance within each kind.

    replaced: by a token drawn uniformly from those that occur anywhere in text.tokens, never by
    itself.

    swapped: with the token before it, which the first token of a window lacks, so only at distances
    below T. Two equal tokens leave the window unchanged. Such a window counts as one that did not
    respond, so every figure is about the same windows.

    typo, where token t is byte t: a letter by a letter on a key beside its own (same row, or the
    row above or below), in the same case; a digit by a digit beside it; any other byte by a
    printable ASCII byte drawn uniformly, never by itself.
    """
    windows = text.tokens[rows.to(text.tokens.device)].cpu()
    length = windows.shape[1]
    distances = [d for d in DISTANCES if d <= length]

    vocabulary = text.tokens.unique().cpu()
    changes = [_replaced(windows, d, vocabulary, generator) for d in distances]
    changes += [_swapped(windows, d) for d in distances if d < length]
    if text.byte_tokens:
        changes += [_mistyped(windows, d, generator) for d in distances]
    return changes


def _replaced(
    windows: Tensor, distance: int, vocabulary: Tensor, generator: torch.Generator
) -> TokenChange:
    other = torch.randint(len(vocabulary) - 1, (len(windows),), generator=generator)
    # skip the token itself
    other += other >= torch.searchsorted(vocabulary, windows[:, -distance].contiguous())
    return _with("replaced", distance, windows, vocabulary[other])


def _swapped(windows: Tensor, distance: int) -> TokenChange:
    at = windows.shape[1] - distance
    swapped = windows.clone()
    swapped[:, [at - 1, at]] = windows[:, [at, at - 1]]
    return TokenChange("swapped", distance, swapped)


def _mistyped(windows: Tensor, distance: int, generator: torch.Generator) -> TokenChange:
    slips = [SLIPS[byte] for byte in windows[:, -distance].tolist()]
    drawn = torch.randint(2**40, (len(windows),), generator=generator).tolist()
    bytes_typed = [slip[i % len(slip)] for slip, i in zip(slips, drawn, strict=True)]
    return _with("typo", distance, windows, torch.tensor(bytes_typed))


@torch.no_grad()
def token_response(
    model: Model, text: Text, rows: Tensor, y: Tensor, generator: torch.Generator
) -> list[TokenResponse]:
    """Return one model's responses at the windows text.tokens[rows], in the order of
    `token_changes`.

    `model` maps (B, T, width) inputs, table[tokens], to (B, K) logits, on the device of y. It is
    one model, not a stack: windows go through it in chunks. rows, y: (B,); y are the tokens that
    come next. The changes depend on the text, the rows and the generator (of the CPU), and not on
    the model.
    """

    def logits(tokens: Tensor) -> Tensor:
        return model(text.table[tokens.to(text.table.device)].to(y.device))

    windows = text.tokens[rows.to(text.tokens.device)]
    changes = token_changes(text, rows, generator)
    changed = torch.stack([change.tokens for change in changes], dim=1)
    vocabulary, width = text.table.shape
    size = max(1, NUMBERS // max(changed.shape[2] * width, vocabulary))

    clean = torch.cat([logits(chunk) for chunk in windows.split(size)])
    label = clean.argmax(1)

    # The changes of a window lie one after another; `point` is the window that each belongs to.
    point = torch.arange(len(rows), device=y.device).repeat_interleave(len(changes))
    right: list[Tensor] = []
    flipped: list[Tensor] = []
    kl: list[Tensor] = []
    chunks = zip(changed.flatten(0, 1).split(size), point.split(size), strict=True)
    for tokens, of in chunks:
        output = logits(tokens)
        right.append(output.argmax(1) == y[of])
        flipped.append(output.argmax(1) != label[of])
        kl.append(kl_divergence(clean[of], output))

    rights = _by_change(right, len(rows))
    flips = _by_change(flipped, len(rows))
    kls = _by_change(kl, len(rows))
    responses = []
    for k, change in enumerate(changes):
        accuracy, accuracy_se = _share(rights[k])
        mean_kl, kl_se = mean_and_se(kls[k])
        flip_rate = float(flips[k].mean())
        responses.append(
            TokenResponse(
                change.kind, change.distance, accuracy, accuracy_se, mean_kl, kl_se, flip_rate
            )
        )
    return responses


def _by_change(chunks: list[Tensor], windows: int) -> Tensor:
    """Join the chunks of (B·C,) values, window after window, to (C, B) float64 on the CPU."""
    return torch.cat(chunks).reshape(windows, -1).double().T.cpu()


def _with(kind: str, distance: int, windows: Tensor, fresh: Tensor) -> TokenChange:
    """Put the tokens `fresh` (B,) into the windows at that distance."""
    tokens = windows.clone()
    tokens[:, -distance] = fresh
    return TokenChange(kind, distance, tokens)


def _share(hits: Tensor) -> tuple[float, float]:
    """Return the share of hits and its binomial standard error."""
    share = float(hits.mean())
    return share, math.sqrt(share * (1 - share) / len(hits))


def _slips() -> list[list[int]]:
    """Return for every byte the bytes that a typo may put in its place."""
    beside: dict[str, set[str]] = {}

    def join(one: str, other: str) -> None:
        beside.setdefault(one, set()).add(other)
        beside.setdefault(other, set()).add(one)

    for row, keys in enumerate(KEYBOARD):
        below = KEYBOARD[row + 1] if row + 1 < len(KEYBOARD) else ""
        for place, key in enumerate(keys):
            for right in keys[place + 1 : place + 2]:
                join(key, right)
            # the two keys of the row below that lie half a key to the left and to the right
            for touching in below[max(place - 1, 0) : place + 1]:
                join(key, touching)
    for digit, right in zip("123456789", "234567890", strict=True):
        join(digit, right)
    for key in [key for key in beside if key.isalpha()]:
        beside[key.upper()] = {other.upper() for other in beside[key]}

    slips = [[other for other in PRINTABLE if other != byte] for byte in range(256)]
    for key, others in beside.items():
        slips[ord(key)] = sorted(map(ord, others))
    return slips


SLIPS = _slips()
"""(256,) lists of bytes: those that a typo may put in the place of each."""
