"""How well a language model predicts held-out text, every position a target: loss, bits per byte,
accuracy, calibration, last words.

Loss and accuracy are means over next tokens. The tokens of one window are not independent, so that
a standard error is taken over windows, as of a cluster sample (Cochran 1977, chapter 9): the
windows have equally many targets, a figure is the mean of its W means m_w over a window, and its
standard error is √(Σ (m_w − m̄)² / (W − 1) / W), NaN for a single window. What neighbouring windows
of one document have in common is not in it: where documents are much longer than windows it is too
small.

    held_out(model, corpus, context=128, most_tokens=1_000_000, device=device)
    last_word(model, [(tokens of the passage, tokens of its last word), …], context=1024)

Calibration is that of `calibration.py`: the same 15 bins, Brier score and Bayesian bootstrap, whose
weights go to windows here. Weights must be float32: nothing is cast.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from harness.language import Corpus
from harness.measures.calibration import BINS, CHUNK, RESAMPLES, bin_of, mean_and_se
from harness.training.processes import ALONE, Processes

POSITIONS = 2048
"""Tokens that one call of the model reads, or one window, where that is longer."""

NUMBERS = 2**23
"""Probabilities that are held at once: all tokens' over a large vocabulary would be more than
the model itself."""


class HeldOut(NamedTuple):
    """One model's figures over the held-out stream. Standard errors are over windows."""

    loss: float
    """Nats per token: mean of −log p(next token). A separator is a target like any other."""
    loss_se: float
    bits_per_byte: float
    """loss / ln 2 · tokens of text per byte of text: of different vocabularies the same thing.
    The separators' share of the loss is taken to be that of other tokens, as they are no part of
    the text: with documents of L tokens a matter of at most about 1/L."""
    accuracy: float
    """Share of the next tokens that got the largest probability."""
    accuracy_se: float
    tokens: int
    """Targets judged."""
    ece: float
    """Expected calibration error of the most probable token's probability, 0 … 1."""
    ece_se: float
    brier: float
    """Squared distance of the probabilities from the token, summed over the vocabulary: 0 … 2."""
    brier_se: float


class LastWord(NamedTuple):
    """Share of the examples whose last word was predicted, its binomial standard error, and how
    many examples there were."""

    accuracy: float
    accuracy_se: float
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]  (tuple.count)


class _Windows(NamedTuple):
    """(W,) means over each window, and (W, BINS): right − confidence, summed over its targets of
    each bin."""

    loss: Tensor
    right: Tensor
    brier: Tensor
    gaps: Tensor


@torch.no_grad()
def held_out(
    model: nn.Module,
    corpus: Corpus,
    context: int,
    most_tokens: int,
    device: torch.device | str,
    processes: Processes = ALONE,
) -> HeldOut:
    """A model of tokens, (B, T) int64 to (B, T, vocabulary) logits on `device`, over the held-out
    stream; it is left in evaluation mode.

    The stream is cut from its beginning into windows of context + 1 tokens, `context` apart, so
    that every token but the first is a target once; a rest shorter than a window is left out, and a
    stream shorter than one is one. Of more windows than hold `most_tokens` targets as many are
    taken as do, at least one, evenly spaced: the same ones for every model. Of several processes
    that hold one model together each judges its share of them, and all give the same figures.
    """
    model.eval()
    context = min(context, len(corpus.held_out) - 1)
    there = (len(corpus.held_out) - 1) // context
    taken = min(there, max(most_tokens // context, 1))
    begins, together = np.arange(taken) * there // taken * context, max(1, POSITIONS // context)
    # equally many for all, the last one again where they do not go round: they wait for one another
    each = -(-taken // processes.count)
    mine = begins[np.minimum(np.arange(each) + processes.rank * each, taken - 1)]
    found = []
    for first in range(0, each, together):
        places = mine[first : first + together, None] + np.arange(context + 1)
        tokens = torch.from_numpy(corpus.held_out[places].astype(np.int64)).to(device)
        found.append(_by_window(model(tokens[:, :-1]), tokens[:, 1:]))
    windows = _Windows(
        *(processes.all_gather(torch.cat(parts))[:taken] for parts in zip(*found, strict=True))
    )
    loss, loss_se = mean_and_se(windows.loss)
    bits = loss / math.log(2) * corpus.tokens_per_byte
    return HeldOut(
        loss,
        loss_se,
        bits,
        *mean_and_se(windows.right),
        taken * context,
        *_calibration_error(windows.gaps, context),
        *mean_and_se(windows.brier),
    )


@torch.no_grad()
def last_word(
    model: nn.Module,
    examples: Sequence[tuple[Tensor, Tensor]],
    context: int,
    device: torch.device | str = "cpu",
) -> LastWord:
    """How often a model completes a passage by its last word, as LAMBADA asks (Paperno et al. 2016,
    arXiv 1606.06031).

    An example is the (N,) tokens of the passage without the word, at least one, and the (L,) tokens
    of the word, at most `context`. The word is predicted where each of its tokens is the most
    probable one after all that precede it: what greedy decoding would write. Of what precedes the
    last token the last `context` tokens are read. Examples of one length go through the model
    together, so that there is no padding.
    """
    model.eval()
    alike: dict[int, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for passage, word in examples:
        tokens = torch.cat([passage, word])[:-1][-context:]
        alike[len(tokens)].append((tokens, word))
    right = 0
    for length, of_length in alike.items():
        together = max(1, POSITIONS // length)
        for first in range(0, len(of_length), together):
            some = of_length[first : first + together]
            guesses = model(torch.stack([tokens for tokens, _ in some]).to(device)).argmax(2).cpu()
            right += sum(
                torch.equal(guess[-len(word) :], word.cpu())
                for guess, (_, word) in zip(guesses, some, strict=True)
            )
    accuracy = right / len(examples)
    return LastWord(accuracy, math.sqrt(accuracy * (1 - accuracy) / len(examples)), len(examples))


def _by_window(logits: Tensor, targets: Tensor) -> _Windows:
    """logits: (W, T, vocabulary); targets: (W, T)."""
    size = max(1, NUMBERS // logits.shape[2])
    parts = zip(logits.flatten(0, 1).split(size), targets.flatten().split(size), strict=True)
    scores = zip(*(_scores(logit, target) for logit, target in parts), strict=True)
    loss, right, brier, confidence = (
        torch.cat(score).double().reshape(targets.shape) for score in scores
    )
    bins = bin_of(confidence)
    gaps = torch.zeros(len(targets), BINS).to(right).scatter_add_(1, bins, right - confidence)
    return _Windows(loss.mean(1), right.mean(1), brier.mean(1), gaps)


def _scores(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(N,) each: −log p of the target, whether it was predicted, Brier score, probability of the
    predicted token."""
    guess, log_probability = logits.argmax(1), logits.log_softmax(1)
    of_target, of_guess = log_probability.gather(1, torch.stack([target, guess], dim=1)).unbind(1)
    brier = log_probability.exp_().square_().sum(1) - 2 * of_target.exp() + 1
    return -of_target, guess == target, brier, of_guess.exp()


def _calibration_error(gaps: Tensor, context: int) -> tuple[float, float]:
    """From (W, BINS): the error and its standard error, by exponentially distributed weights of
    windows (Rubin's bootstrap, 1981)."""
    gaps, generator = gaps.cpu(), torch.Generator().manual_seed(0)
    resampled, size = (
        torch.zeros(RESAMPLES, BINS, dtype=torch.double),
        torch.zeros(RESAMPLES, 1, dtype=torch.double),
    )
    for part in gaps.split(CHUNK):
        weights = torch.empty(RESAMPLES, len(part), dtype=torch.double).exponential_(
            generator=generator
        )
        resampled += weights @ part
        size += weights.sum(1, keepdim=True)
    spread = float((resampled / size / context).abs().sum(1).std()) if len(gaps) > 1 else math.nan
    return float(gaps.sum(0).abs().sum()) / len(gaps) / context, spread
