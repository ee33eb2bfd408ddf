"""The answer in plain words: every outcome of a slope and of a frontier has its sentence, with the
right figures.

Run alone: python -m pytest tests/reports/test_answer.py
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.answer import CLAUSES, DataName, answer_sentences, answers, outcome_of, plain_sentence
from reports.best_fit_answer import WORDS, best_fit_sentence
from reports.evidence import Evidence
from reports.fits.common_slope import CommonSlope
from reports.fits.forms import Forms
from reports.fits.rivals import Rivals
from reports.fits.slope import Slope
from reports.frontier_answer import ATTAINED, FrontierFit, Mean
from reports.law import Fits, KindFit
from reports.measures import STABILITY
from reports.verdicts import judge

NAN = float("nan")


def kind_fit(low: float, high: float, family: str = "mnist-mlp", **changes: Any) -> KindFit:
    """Return the fit of a kind whose slope has this interval. further: interval of the filters;
    unmet: why the rows test no law."""
    further, unmet = changes.pop("further", (low, high)), changes.pop("unmet", "")
    at_onset, beyond = slope(low, high), slope(further[0], further[1])
    slopes = {factor: beyond if factor > 1 else at_onset for factor in (1, 2, 4, 8)}
    verdicts = {STABILITY: judge(slopes, unmet, +1)}
    kind = changes.pop("kind", f"{family}, 10 classes, 30 % resampled")
    fit = KindFit(kind, family, True, not unmet, verdicts, Forms({}, {}, None, None, 0, 0, (), []))
    return fit._replace(**changes)


def slope(low: float, high: float, failure: str = "") -> Slope:
    b = (low + high) / 2
    found = Slope(b, low, high, 8, 3, 0, 1.1, low, high, ("a" * 16,), failure)
    return found._replace(of_curves={"c": (b, 1.0 if b else 2.0)}, noise=1e-4, noise_freedom=20)


def evidence(kind: str, family: str) -> Evidence:
    trials = pd.DataFrame(
        {
            "kind": kind,
            "family": family,
            "p": [1000, 50_000],
            "in_fit": True,
            "trial_id": ["a", "b"],
        }
    )
    none = pd.DataFrame()
    return Evidence(None, trials, none, 2, [], [], [], frozenset(), none)  # pyright: ignore


OUTCOMES = {
    "order": (kind_fit(0.42, 0.58), "as fast as the law's ceiling rises (216 %)"),
    "slower": (
        kind_fit(0.054, 0.212),
        "make an MNIST network 36 % (13–63) more robust, less than the 216 % by which",
    ),
    "none": (
        kind_fit(-0.1, 0.2),
        "no difference that can be told from none: ten times the parameters change the robustness"
        " of an MNIST network by 12 % (−21 to 58)",
    ),
    "falls": (kind_fit(-0.3, -0.1), "by −37 % (−50 to −21), while the law's ceiling rises"),
    "steep": (kind_fit(0.6, 0.8), "faster than the law allows in the long run (216 %)"),
    "wide": (kind_fit(0.1, 0.9), "the interval is too wide"),
    "filter": (kind_fit(0.1, 0.3, further=(0.6, 0.9)), "depends on which sizes enter"),
}


@pytest.mark.parametrize("outcome", CLAUSES)
def test_every_outcome_has_its_sentence(outcome):
    fit, expected = OUTCOMES[outcome]
    assert outcome_of(fit) == outcome
    rows = evidence(fit.kind, fit.family)
    (answer,) = answers(rows, Fits([fit], {}, []))
    (sentence,) = map(str, answer.sentences)
    assert answer.name == "MNIST" and expected in sentence
    assert sentence.endswith("Sizes: 1k to 50k parameters.")


def test_a_kind_without_a_verdict_says_why():
    for fit, expected in (
        (
            kind_fit(NAN, NAN, unmet="no injected noise: outside the law's condition, no verdict"),
            "No answer for an MNIST network: no injected noise: outside the law's condition.",
        ),
        (
            kind_fit(0, 0.1)._replace(
                verdicts={STABILITY: judge({1: slope(NAN, NAN, "few")}, "", 1)}
            ),
            "too few curves have sizes to compare",
        ),
    ):
        (answer,) = answers(evidence(fit.kind, fit.family), Fits([fit], {}, []))
        assert expected in str(answer.sentences[0])


def test_kinds_with_one_outcome_share_a_sentence_and_others_are_named():
    one = kind_fit(0.054, 0.212, kind="mnist-mlp, ±1 target")
    two = kind_fit(0.195, 0.327, kind="mnist-mlp, 10 classes")
    flat = kind_fit(-0.1, 0.2, kind="mnist-mlp, clean")
    rows = pd.concat([evidence(fit.kind, fit.family).trials for fit in (one, two, flat)])
    store = evidence("", "")._replace(trials=rows)

    (answer,) = answers(store, Fits([two, one], {}, []))
    (text,) = map(str, answer.sentences)
    assert "36 % (13–63) to 82 % (57–112) more robust" in text
    assert text.endswith("50k parameters, 2 kinds.")

    (answer,) = answers(store, Fits([two, one, flat], {}, []))
    slower, none = map(str, answer.sentences)
    assert slower.endswith("kinds: mnist-mlp, 10 classes; mnist-mlp, ±1 target.")
    assert none.endswith("kinds: mnist-mlp, clean.")


def test_shipped_data_come_first_and_own_tasks_by_their_name():
    fits = [kind_fit(0.1, 0.2, family) for family in ("abalone", "gpt", "sphere")]
    rows = pd.concat([evidence(fit.kind, fit.family).trials for fit in fits])
    found = answer_sentences(evidence("", "")._replace(trials=rows), Fits(fits, {}, []))
    assert [str(s).partition(":")[0] for s in found] == ["Random data", "GPTs", "abalone"]
    assert "a abalone model" not in str(found[2]) and "a network of the family abalone" in str(
        found[2]
    )


def test_a_sentence_states_its_range_once():
    fit = kind_fit(0.1, 0.2)
    text = plain_sentence("slower", DataName("x", "an x"), [fit], evidence(fit.kind, ""), False)
    assert len({number.key for number in text.numbers()}) == len(text.numbers()) == 6


# The best fit found


def frontier_fit(verdict: str) -> FrontierFit:
    rows = pd.DataFrame(
        {
            "window": True,
            "bound": True,
            "per_sample": [1.0, 32.0],
            "d": [64, 512],
            "trial_id": [("a",), ("b",)],
        }
    )
    none = CommonSlope(NAN, NAN, NAN, 0, 0, 0, (), "none")
    constant = Mean(0.75, 0.72, 0.78, 0.7, 0.8, 6, ("a",))
    plain = Mean(0.1, 0.08, 0.12, 0.05, 0.2, 6, ("a", "b"))
    return FrontierFit(
        "sphere, ±1 target, pure noise",
        rows,
        {},
        none,
        none,
        {},
        Rivals({}, 0, 0),
        constant,
        plain,
        None,
        2,
        2,
        True,
        verdict,
    )


@pytest.mark.parametrize("verdict", WORDS)
def test_every_verdict_on_the_frontier_has_its_sentence(verdict):
    text = str(best_fit_sentence(frontier_fit(verdict)))
    assert text.startswith(WORDS[verdict])
    assert "over p = 1·n to 32·n and d = 64 to 512." in text
    assert text.endswith("Plain training reaches 10 % (8.0–12) of its radius.")
    assert ("0.75 (0.72–0.78)·√(p/(n·d))" in text) == (verdict == list(WORDS)[0])


def test_without_a_verdict_on_the_frontier_what_is_known_stands_first():
    text = str(best_fit_sentence(frontier_fit("cannot tell: the law can bind in no cell")))
    assert text == (
        "Plain training reaches 10 % (8.0–12) of the radius of the most robust fit found. This"
        " store cannot tell whether the best fit found follows the law's order: the law can bind in"
        " no cell."
    )


def test_no_two_verdicts_sound_alike():
    assert len(set(WORDS.values())) == len(WORDS) and ATTAINED in WORDS


def test_the_best_fit_comes_before_plain_training():
    fit = kind_fit(0.1, 0.2, "sphere")
    fits = Fits([fit], {}, [], [frontier_fit(ATTAINED)])
    (answer,) = answers(evidence(fit.kind, "sphere"), fits)
    assert [str(s).split()[0] for s in answer.sentences] == ["The", "Ten"]
    assert np.isfinite([number.value for number in answer.numbers()]).all()
