"""C7: GPT-3 falls short of the law by about three orders. State n·d for published models, under
every way to count d.

For text, n·d = tokens × numbers per token. How many numbers a token counts as is a convention, and
it decides the answer.
"""

from collections.abc import Callable
from math import log10
from typing import Any, NamedTuple

from reports.claims.claim import Finding, Statement
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number, Sentence
from reports.published.tables import LanguageModel, language_models

STATED_NEED = 1.75e14
"""Parameters that would do, according to the claim."""
STATED_DATA = 500e9
"""Tokens of GPT-3's data set, according to the claim."""
GPT3 = "GPT-3 175B"
RUMOURED = "rumoured 1e14"

STATEMENT = Statement(
    "C7",
    "GPT-3 (175e9 parameters, 500e9 tokens, 300e9 of them trained on) falls short of the law by"
    " about three orders of magnitude; 1.75e14 parameters would do, near the rumoured 1e14",
    "popular accounts",
    "Published parameters against n·d, under each way to count d. No outcome supports or"
    " contradicts the claim: the law is about fits below a known noise level, and one pass over"
    " text is no such fit; besides, its constants are unknown. So the orders say where a model lies"
    " on the axis, and nothing about how robust it is.",
)


class Convention(NamedTuple):
    """A way to count d. `numbers`: numbers per token, None where the model's shape is unknown."""

    key: str
    name: str
    numbers: Callable[[LanguageModel], float | None]


def named(name: str) -> LanguageModel:
    """Return the published model of this name."""
    (model,) = (m for m in language_models() if m.name == name)
    return model


def _known(value: float | None) -> float:
    assert value is not None, "a figure that the claim needs is missing from the published table"
    return value


TOKEN = Convention("token", "one number per token", lambda m: 1.0)
IMPLIED = Convention(
    "implied",
    "using the claim's implied dimension",
    lambda m: STATED_NEED / _known(named(GPT3).tokens),
)
WIDTH = Convention("width", "d_model numbers per token, or windows as samples", lambda m: m.d_model)
POSITION = Convention(
    "position",
    "every position a sample with its whole window as input",
    lambda m: m.context * m.d_model if m.context and m.d_model else None,
)
CONVENTIONS = (TOKEN, IMPLIED, WIDTH, POSITION)


def needed(model: LanguageModel, convention: Convention) -> float | None:
    """Return n·d, the p that the law's order needs; None where tokens or shape are unknown."""
    numbers = convention.numbers(model)
    return model.tokens * numbers if model.tokens and numbers else None


def orders_short(parameters: float, need: float) -> float:
    """Return the orders of magnitude by which `parameters` falls short of n·d; negative when it
    exceeds n·d."""
    return log10(need / parameters)


def published(
    key: str, value: float, model: LanguageModel, how: str, style: str = "sig3"
) -> Number:
    """Return a number about a published model. The model's source is appended to `how`."""
    return Number(
        f"{key}:{model.name}:{how}", value, f"{how}; published: {model.source}", (), style
    )


def check(evidence: Evidence, fits: Fits) -> Finding:
    return Finding(
        "arithmetic only", [_by_width(), _claims_own(), _extremes(), _rumoured(), *_others()]
    )


def _need(model: LanguageModel, convention: Convention) -> float:
    return _known(needed(model, convention))


def _short(
    model: LanguageModel, convention: Convention, data: LanguageModel | None = None
) -> tuple[Number, str]:
    """Return the distance of p from n·d in orders, and its side.

    data: the model whose tokens and shape count; by default the model itself.
    """
    value = orders_short(model.parameters, _need(data or model, convention))
    how = f"|log10(n·d / p)|, {convention.key}"
    if data:
        how += f", on {data.name}'s tokens"
    return published("C7", abs(value), model, how), "short" if value > 0 else "beyond"


def _by_width() -> Sentence:
    m = named(GPT3)
    need = _need(m, WIDTH)
    short, side = _short(m, WIDTH)
    parts = {
        "name": m.name,
        "side": side,
        "short": short,
        "p": published("C7", m.parameters / 1e9, m, "parameters, in billions"),
        "tokens": published("C7", _known(m.tokens) / 1e9, m, "tokens, in billions"),
        "d": published("C7", _known(m.d_model), m, "d_model", "int"),
        "context": published("C7", _known(m.context), m, "context", "int"),
        "need": published("C7", need, m, "n·d, width"),
        "place": published("C7", m.parameters / need, m, "p / (n·d), width"),
    }
    return Sentence(
        "{name} has {p} billion parameters and {tokens} billion training tokens. With d_model ="
        " {d} numbers per token, n·d is {need} and p/(n·d) is {place}, {short} orders {side}."
        " Windows of {context} tokens as samples give the same result: there are fewer samples,"
        " each longer by the same factor.",
        parts,
    )


def _claims_own() -> Sentence:
    m = named(GPT3)
    tokens = _known(m.tokens)
    width = _known(m.d_model)
    short, side = _short(m, IMPLIED)
    parts = {
        "need": published("C7", STATED_NEED / 1e12, m, "n·d, implied, in trillions"),
        "short": short,
        "side": side,
        "trained": published(
            "C7", STATED_NEED / tokens, m, "numbers per token trained on, implied"
        ),
        "data": published(
            "C7", STATED_DATA / 1e9, m, "tokens of the data set as the claim has them, in billions"
        ),
        "whole": published(
            "C7", STATED_NEED / STATED_DATA, m, "numbers per token of the data set, implied"
        ),
        "times": published(
            "C7", width * tokens / STATED_NEED, m, "d_model over the numbers implied"
        ),
    }
    return Sentence(
        "By the claim's {need} trillion the model is {short} orders {side}: n·d has that value if a"
        " token counts as {trained} numbers (or {whole}, with all {data} billion tokens of the data"
        " set). No width of the model equals that; its d_model is {times} times as large.",
        parts,
    )


def _extremes() -> Sentence:
    m = named(GPT3)
    low, low_side = _short(m, TOKEN)
    high, high_side = _short(m, POSITION)
    parts = {
        "ratio": published("C7", m.parameters / _need(m, TOKEN), m, "p / n"),
        "low": low,
        "low_side": low_side,
        "high": high,
        "high_side": high_side,
        "need": published("C7", _need(m, POSITION), m, "n·d, position"),
    }
    return Sentence(
        "At the extremes: one number per token gives p/n = {ratio}, {low} orders {low_side}. Every"
        " position as a sample with its whole window as input gives n·d = {need}, {high} orders"
        " {high_side}, and those samples overlap.",
        parts,
    )


def _rumoured() -> Sentence:
    m = named(RUMOURED)
    data = named(GPT3)
    parts: dict[str, Any] = {
        "p": published("C7", m.parameters / 1e12, m, "parameters, in trillions"),
        "data": data.name,
    }
    for c in CONVENTIONS:
        parts[c.key], parts[f"{c.key}_side"] = _short(m, c, data)
    return Sentence(
        "The rumoured {p} trillion parameters, on {data}'s tokens and shape: {token} orders"
        " {token_side} with one number per token, {implied} {implied_side} with as many as the"
        " claim implies, {width} {width_side} with d_model, {position} {position_side} with whole"
        " windows at every position. This is a rumour: no tokens, no shape and no source were"
        " published.",
        parts,
    )


def _others() -> list[Sentence]:
    """State the place of the largest model of every other group, with d_model numbers per token."""
    elsewhere = (named(GPT3).group, named(RUMOURED).group)
    largest = {model.group: model for model in language_models() if model.group not in elsewhere}
    return [_other(model) for model in largest.values()]


def _other(model: LanguageModel) -> Sentence:
    if model.place is None:
        return Sentence(
            "{name}: the number of its training tokens was not published, so it has no place.",
            {"name": model.name},
        )
    short, side = _short(model, WIDTH)
    parts = {
        "name": model.name,
        "place": published("C7", model.place, model, "p / (n·d), width"),
        "short": short,
        "side": side,
    }
    return Sentence("{name}, with d_model: p/(n·d) is {place}, {short} orders {side}.", parts)
