"""How the prediction of the next token answers when one token before it is changed, by that token's
distance from it.

A model of text has no input that could be moved a little: what can be changed of a window is a
token. Three changes, each of one place: another token instead (*replaced*), the place of its
neighbour (*swapped*), and, where tokens are bytes, a slip of the keyboard (*typo*). By distance as
in Khandelwal et al. 2018 (arXiv 1805.04623), swaps and slips as in Belinkov & Bisk 2018 (arXiv
1711.02173).

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
"""In tokens; at 1 stands the last token before the target."""

KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Rows of letters; each begins half a key further to the right than the one above it, or nearly
so."""

PRINTABLE = range(0x20, 0x7F)

NUMBERS = 2**22
"""Inputs, and probabilities, that one call of the model may hold."""


class TokenChange(NamedTuple):
    """One kind of change at one distance: the windows after it, (B, T) int64."""

    kind: str
    distance: int
    tokens: Tensor


class TokenResponse(NamedTuple):
    """What one kind of change at one distance does, over all B windows; named as the entries of
    the column `token_changes`."""

    kind: str
    distance: int
    accuracy: float
    """Share of the changed windows whose target is predicted."""
    accuracy_se: float
    """Its binomial standard error."""
    kl: float
    """Mean KL(p_clean ‖ p_changed) of the next token's distribution, nats."""
    kl_se: float
    """Its standard error over windows; NaN for a single one."""
    flip_rate: float
    """Share of the windows whose predicted token is another one than before the change."""


def token_changes(text: Text, rows: Tensor, generator: torch.Generator) -> list[TokenChange]:
    """The windows text.tokens[rows], changed in every way that they allow, on the CPU. Order:
    kinds, and distances in each.

    replaced: by a token drawn uniformly from those that occur anywhere in text.tokens, never by
    itself. swapped: with the token before it, which the first token of a window lacks: distances
    below T alone. Two equal tokens leave the window as it is, and it counts as one that did not
    answer, so that every figure is about the same windows. typo, where token t is byte t: a letter
    by a letter on a key beside its own (same row, or the row above or below), in the same case; a
    digit by one beside it; any other byte by a printable ASCII byte drawn uniformly, never by
    itself.
    """
    windows = text.tokens[rows.to(text.tokens.device)].cpu()
    vocabulary = text.tokens.unique().cpu()
    count, length = windows.shape
    distances = [d for d in DISTANCES if d <= length]
    found = []
    for d in distances:
        other = torch.randint(len(vocabulary) - 1, (count,), generator=generator)
        other += other >= torch.searchsorted(vocabulary, windows[:, -d].contiguous())
        found.append(_with("replaced", d, windows, vocabulary[other]))
    for d in [d for d in distances if d < length]:
        swapped = windows.clone()
        swapped[:, [length - d - 1, length - d]] = windows[:, [length - d, length - d - 1]]
        found.append(TokenChange("swapped", d, swapped))
    if text.byte_tokens:
        for d in distances:
            slips = [SLIPS[byte] for byte in windows[:, -d].tolist()]
            drawn = torch.randint(2**40, (count,), generator=generator).tolist()
            found.append(
                _with(
                    "typo",
                    d,
                    windows,
                    torch.tensor([s[i % len(s)] for s, i in zip(slips, drawn, strict=True)]),
                )
            )
    return found


@torch.no_grad()
def token_response(
    model: Model, text: Text, rows: Tensor, y: Tensor, generator: torch.Generator
) -> list[TokenResponse]:
    """One model's answers at the windows text.tokens[rows], in the order of `token_changes`.

    `model` maps (B, T, width) inputs, table[tokens], to (B, K) logits, on the device of y. One
    model, no stack: windows go through it in chunks. rows, y: (B,); y are the tokens that come
    next. The changes depend on the text, the rows and the generator (of the CPU), and on nothing
    that the model says.
    """

    def logits(tokens: Tensor) -> Tensor:
        return model(text.table[tokens.to(text.table.device)].to(y.device))

    changes = token_changes(text, rows, generator)
    changed = torch.stack([change.tokens for change in changes], dim=1)
    vocabulary, width = text.table.shape
    size = max(1, NUMBERS // max(changed.shape[2] * width, vocabulary))
    clean = torch.cat(
        [logits(part) for part in text.tokens[rows.to(text.tokens.device)].split(size)]
    )
    label = clean.argmax(1)
    point = torch.arange(len(rows), device=y.device).repeat_interleave(len(changes))
    right, flipped, kl = [], [], []
    for part, of in zip(changed.flatten(0, 1).split(size), point.split(size), strict=True):
        output = logits(part)
        right.append(output.argmax(1) == y[of])
        flipped.append(output.argmax(1) != label[of])
        kl.append(kl_divergence(clean[of], output))
    rights, flips, kls = (
        torch.cat(parts).reshape(len(rows), -1).double().T.cpu() for parts in (right, flipped, kl)
    )
    return [
        TokenResponse(
            change.kind,
            change.distance,
            *_share(hits),
            *mean_and_se(divergence),
            float(moved.mean()),
        )
        for change, hits, divergence, moved in zip(changes, rights, kls, flips, strict=True)
    ]


def _with(kind: str, distance: int, windows: Tensor, fresh: Tensor) -> TokenChange:
    """The windows with the tokens `fresh` (B,) at that distance."""
    tokens = windows.clone()
    tokens[:, -distance] = fresh
    return TokenChange(kind, distance, tokens)


def _share(hits: Tensor) -> tuple[float, float]:
    share = float(hits.mean())
    return share, math.sqrt(share * (1 - share) / len(hits))


def _slips() -> list[list[int]]:
    """For every byte the bytes that a typo may put in its place."""
    beside: dict[str, set[str]] = {}
    for row, keys in enumerate(KEYBOARD):
        for column, key in enumerate(keys):
            # Of the row below a key touches the two that lie half a key to its left and to its
            # right.
            below = (
                KEYBOARD[row + 1][max(column - 1, 0) : column + 1]
                if row + 1 < len(KEYBOARD)
                else ""
            )
            for other in keys[column + 1 : column + 2] + below:
                beside.setdefault(key, set()).add(other)
                beside.setdefault(other, set()).add(key)
    for one, other in zip("123456789", "234567890", strict=True):
        beside.setdefault(one, set()).add(other)
        beside.setdefault(other, set()).add(one)
    beside |= {
        key.upper(): {other.upper() for other in others}
        for key, others in beside.items()
        if key.isalpha()
    }
    found = [[other for other in PRINTABLE if other != byte] for byte in range(256)]
    for key, others in beside.items():
        found[ord(key)] = sorted(map(ord, others))
    return found


SLIPS = _slips()
"""(256,) lists of bytes: what a typo may make of each."""
