"""Measure how well a language model predicts held-out text, with every position a target: loss,
bits per byte, accuracy, calibration, last words.

Loss and accuracy are means over next tokens. The tokens of one window are not independent, so
standard errors are taken over windows, as for a cluster sample (Cochran 1977, chapter 9): the
windows have equally many targets, a figure is the mean of the means m_w of W windows, and its
standard error is √(Σ (m_w − m̄)² / (W − 1) / W), NaN for a single window. The correlation between
neighbouring windows of one document is not counted: where documents are much longer than windows
the standard error is too small.

    held_out(model, corpus, context=128, most_tokens=1_000_000, device=device)
    last_word(model, [(tokens of the passage, tokens of its last word), …], context=1024)

Calibration is that of `calibration.py`: the same 15 bins, Brier score and Bayesian bootstrap, which
here weights windows. The model's weights must be float32, because nothing is cast.
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
"""Tokens that one call of the model reads. A longer window is read as a whole."""

NUMBERS = 2**23
"""Probabilities that are held at once. Over a large vocabulary, those of all tokens would take more
memory than the model."""


class HeldOut(NamedTuple):
    """One model's figures over the held-out stream. Standard errors are over windows."""

    loss: float
    """Nats per token: mean of −log p(next token). A separator is a target like any other."""
    loss_se: float
    bits_per_byte: float
    """loss / ln 2 · tokens of text per byte of text, which is comparable between vocabularies.
    Separators are not part of the text. Their loss is taken to be that of other tokens, which with
    documents of L tokens is wrong by at most about 1/L."""
    accuracy: float
    """Share of targets that got the largest probability."""
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
    """Scores of W windows. loss, right, brier: means over the targets of a window, (W,). gaps:
    right − confidence, summed over the targets of each confidence bin, (W, BINS)."""

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
    """Judge a model of tokens, (B, T) int64 to (B, T, vocabulary) logits on `device`, over the
    held-out stream. The model is left in evaluation mode.

    The stream is cut from its beginning into windows of context + 1 tokens, `context` apart, so
    that every token but the first is a target once. A rest shorter than a window is left out; a
    stream shorter than a window is one window. If the windows hold more than `most_tokens` targets,
    evenly spaced windows that hold at most so many are taken, at least one: the same ones for every
    model. Several processes that hold one model together judge a share of the windows each, and all
    return the same figures.
    """
    model.eval()
    context = min(context, len(corpus.held_out) - 1)
    begins = _window_begins(len(corpus.held_out), context, most_tokens)
    taken = len(begins)

    # Processes wait for one another, so all judge equally many windows. Where the windows do not
    # divide evenly, the last one is judged again.
    per_process = -(-taken // processes.count)
    share = np.arange(per_process) + processes.rank * per_process
    begins = begins[np.minimum(share, taken - 1)]

    parts: list[_Windows] = []
    together = max(1, POSITIONS // context)
    for first in range(0, per_process, together):
        places = begins[first : first + together, None] + np.arange(context + 1)
        tokens = torch.from_numpy(corpus.held_out[places].astype(np.int64)).to(device)
        parts.append(_by_window(model(tokens[:, :-1]), tokens[:, 1:]))
    windows = _Windows(
        *(processes.all_gather(torch.cat(field))[:taken] for field in zip(*parts, strict=True))
    )

    loss, loss_se = mean_and_se(windows.loss)
    accuracy, accuracy_se = mean_and_se(windows.right)
    ece, ece_se = _calibration_error(windows.gaps, context)
    brier, brier_se = mean_and_se(windows.brier)
    return HeldOut(
        loss=loss,
        loss_se=loss_se,
        bits_per_byte=loss / math.log(2) * corpus.tokens_per_byte,
        accuracy=accuracy,
        accuracy_se=accuracy_se,
        tokens=taken * context,
        ece=ece,
        ece_se=ece_se,
        brier=brier,
        brier_se=brier_se,
    )


def _window_begins(length: int, context: int, most_tokens: int) -> np.ndarray:
    """Return where the windows that are judged begin in a stream of `length` tokens."""
    windows = (length - 1) // context
    taken = min(windows, max(most_tokens // context, 1))
    return np.arange(taken) * windows // taken * context


@torch.no_grad()
def last_word(
    model: nn.Module,
    examples: Sequence[tuple[Tensor, Tensor]],
    context: int,
    device: torch.device | str = "cpu",
) -> LastWord:
    """Return how often a model completes a passage by its last word, as in LAMBADA (Paperno et al.
    2016, arXiv 1606.06031).

    An example is the (N,) tokens of the passage without the word, at least one, and the (L,) tokens
    of the word, at most `context`. The word is predicted where each of its tokens is the most
    probable one after all that precede it, as greedy decoding would write it. Of the tokens before
    the last one, the last `context` are read. Examples of one length go through the model together,
    so no padding is needed.
    """
    model.eval()
    by_length: dict[int, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for passage, word in examples:
        tokens = torch.cat([passage, word])[:-1][-context:]
        by_length[len(tokens)].append((tokens, word))

    right = 0
    for length, of_length in by_length.items():
        together = max(1, POSITIONS // length)
        for first in range(0, len(of_length), together):
            batch = of_length[first : first + together]
            tokens = torch.stack([tokens for tokens, _ in batch]).to(device)
            guesses = model(tokens).argmax(2).cpu()
            for guess, (_, word) in zip(guesses, batch, strict=True):
                right += torch.equal(guess[-len(word) :], word.cpu())

    count = len(examples)
    accuracy = right / count
    return LastWord(accuracy, math.sqrt(accuracy * (1 - accuracy) / count), count)


def _by_window(logits: Tensor, targets: Tensor) -> _Windows:
    """Judge the logits (W, T, vocabulary) of W windows by their targets (W, T)."""
    size = max(1, NUMBERS // logits.shape[2])
    chunks = zip(logits.flatten(0, 1).split(size), targets.flatten().split(size), strict=True)
    scores = [_scores(logit, target) for logit, target in chunks]
    loss, right, brier, confidence = (
        torch.cat(score).double().reshape(targets.shape) for score in zip(*scores, strict=True)
    )
    bins = bin_of(confidence)
    gaps = torch.zeros(len(targets), BINS).to(right).scatter_add_(1, bins, right - confidence)
    return _Windows(loss.mean(1), right.mean(1), brier.mean(1), gaps)


class _Scores(NamedTuple):
    """(N,) each."""

    loss: Tensor
    """−log p of the target."""
    right: Tensor
    """Bool: the target was predicted."""
    brier: Tensor
    confidence: Tensor
    """Probability of the predicted token."""


def _scores(logits: Tensor, target: Tensor) -> _Scores:
    guess = logits.argmax(1)
    log_probability = logits.log_softmax(1)
    of_both = log_probability.gather(1, torch.stack([target, guess], dim=1))
    of_target, of_guess = of_both.unbind(1)
    # in place, because the probabilities over a vocabulary are the largest tensor here
    brier = log_probability.exp_().square_().sum(1) - 2 * of_target.exp() + 1
    return _Scores(-of_target, guess == target, brier, of_guess.exp())


def _calibration_error(gaps: Tensor, context: int) -> tuple[float, float]:
    """Return the error and its standard error, from the gaps (W, BINS) of the windows.

    The bootstrap is Rubin's (1981): every window gets an exponentially distributed weight.
    """
    gaps = gaps.cpu()
    generator = torch.Generator().manual_seed(0)
    resampled = torch.zeros(RESAMPLES, BINS, dtype=torch.double)
    size = torch.zeros(RESAMPLES, 1, dtype=torch.double)
    for part in gaps.split(CHUNK):
        weights = torch.empty(RESAMPLES, len(part), dtype=torch.double)
        weights.exponential_(generator=generator)
        resampled += weights @ part
        size += weights.sum(1, keepdim=True)

    error = float(gaps.sum(0).abs().sum()) / len(gaps) / context
    if len(gaps) == 1:
        return error, math.nan
    return error, float((resampled / size / context).abs().sum(1).std())
