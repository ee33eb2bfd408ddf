"""Task `text`: its size by formula, and what is refused.

Run alone: python -m pytest tests/tasks/text/test_config.py
"""

from typing import Any

import pytest

from harness.errors import UserError
from harness.measures.counts import count_parameters
from tests.tasks.text.window_trials import TASK, config_of, data_of, sweep


@pytest.mark.parametrize(
    ("width", "heads", "layers", "context", "d_in"),
    [(8, 2, 1, 8, 4), (32, 4, 2, 16, 8), (64, 2, 3, 5, 1)],
)
def test_parameters_by_group(
    source: str, width: int, heads: int, layers: int, context: int, d_in: int
):
    config = config_of(source, width=width, heads=heads, layers=layers, context=context, d_in=d_in)
    counts = count_parameters(TASK.model(config))
    groups = {group.group: group.trainable for group in counts.groups}
    assert groups == {
        "embedding": d_in * width,
        "position": context * width,
        "norm": (2 * layers + 1) * 2 * width,
        "attention": layers * 4 * (width + 1) * width,
        "mlp": layers * (8 * width**2 + 5 * width),
        "head": width * 256,
    }
    assert sum(groups.values()) == counts.trainable
    assert counts.frozen == 0, "the token table is data, not a parameter"


def test_the_rate_falls_with_the_width_where_it_is_told_to(source: str):
    rates = [config_of(source, width=w, lr=0.01, rate_width=16).rate for w in (8, 16, 64)]
    assert rates == [0.02, 0.01, 0.0025]
    assert config_of(source, width=64, lr=0.01).rate == 0.01
    settings = {str(config_of(source, width=w, rate_width=16).settings()) for w in (8, 64)}
    assert len(settings) == 1, "widths stay on one curve"


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "heads that do not divide": (
        dict(width=10, heads=4),
        ["'heads' is 4 and must divide 'width', 10"],
    ),
    "no noise to stop at": (
        dict(target_resample=0.0),
        ["stop 'noise' needs injected noise", "target_resample above 0", "'interpolate'"],
    ),
    "a share above 1": (dict(target_resample=1.5), ["target_resample", "1.5"]),
    "too few windows to ask for": (dict(n=5), ["n", "5", "10"]),
    "no context": (dict(context=0), ["context", "0", "1"]),
    "no numbers": (dict(d_in=0), ["d_in", "0", "1"]),
    "no layer": (dict(layers=0), ["layers", "0", "1"]),
    "an unknown tokenizer": (
        dict(tokenizer="letters"),
        ["tokenizer", "'letters'", "'bytes'", "'bpe-N'"],
    ),
    "too small a tokenizer": (dict(tokenizer="bpe-100"), ["tokenizer", "'bpe-100'", "257"]),
    "a rate by width for SGD": (
        dict(rate_width=16, optimiser="sgd"),
        ["'rate_width' is 16", "'adam' and 'adamw'; the optimiser is 'sgd'"],
    ),
    "a slip in a name": (dict(withd=8), ["withd", "width"]),
    "a word for a number": (dict(width="wide"), ["width", "wide"]),
}


@pytest.mark.slow
@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_named(source: str, given: dict[str, Any], words: list[str]):
    with pytest.raises(UserError) as refused:
        sweep(source, **given)
    message = str(refused.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_an_unknown_source_is_refused():
    """tests/tasks/corpora/test_names.py has every kind of name."""
    message = "the source of text must be 'python-stdlib', .*not 'txt:books'"
    with pytest.raises(UserError, match=message):
        sweep("txt:books")


SHORT: dict[str, tuple[dict[str, Any], str]] = {
    "training": (
        dict(n=100_000),
        r"the source has [\d,]+ (different )?training windows of 8 tokens, and 100,000 are needed",
    ),
    "held out": (
        dict(context=2, n=10),
        r"the source has \d+ different held-out windows of 2 tokens, and 1,000 are needed",
    ),
}


@pytest.mark.parametrize(("given", "sentence"), SHORT.values(), ids=SHORT.keys())
def test_too_little_text_is_one_sentence(source: str, given: dict[str, Any], sentence: str):
    with pytest.raises(UserError, match=sentence):
        data_of(source, **given)
    with pytest.raises(UserError, match=f"sweep.yaml:5: {sentence}"):
        sweep(source, **given)
