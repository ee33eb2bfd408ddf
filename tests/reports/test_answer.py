"""The answer in plain words: every outcome of a slope and of a frontier has its sentence, with the
right figures.

Run alone: python -m pytest tests/reports/test_answer.py
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.answer import answer_sentences, answers, plain_sentence
from reports.best_fit_answer import MEASURE, SHORTLY, WORDS, best_fit_sentence
from reports.evidence import Evidence
from reports.fits.common_slope import CommonSlope
from reports.fits.forms import Forms
from reports.fits.rivals import Rivals
from reports.fits.slope import Slope
from reports.frontier_answer import ATTAINED, SAMPLES, FrontierFit, Mean
from reports.frontier_stability import stability_beside_plain
from reports.headline import headline
from reports.law import Fits, KindFit
from reports.measures import STABILITY
from reports.outcomes import CLAUSES, outcome_of
from reports.sections.how_sure import how_sure
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
    "order": (kind_fit(0.42, 0.58), "more robust, as fast as the ceiling rises"),
    "slower": (
        kind_fit(0.054, 0.212),
        "make an MNIST network 36 % (13–63) more robust, less than the ceiling rises",
    ),
    "none": (
        kind_fit(-0.1, 0.2),
        "No clear effect of size: ten times the parameters change the robustness of an MNIST"
        " network by 12 % (−21 to 58)",
    ),
    "falls": (kind_fit(-0.3, -0.1), "by −37 % (−50 to −21) (1k to 50k"),
    "steep": (kind_fit(0.6, 0.8), "faster than the law allows in the long run"),
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
    assert sentence.endswith("(1k to 50k parameters).")


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
    assert "36 % (13–63; ±1 target) and 82 % (57–112; 10 classes) more robust" in text

    (answer,) = answers(store, Fits([two, one, flat], {}, []))
    slower, none = map(str, answer.sentences)
    assert slower.startswith("10 classes; ±1 target: ten times the parameters")
    assert none.startswith("Clean: no clear effect of size")

    more = [one._replace(kind=f"mnist-mlp, {k} classes") for k in (2, 3, 4, 5)]
    rows = pd.concat([evidence(fit.kind, fit.family).trials for fit in more])
    (answer,) = answers(store._replace(trials=rows), Fits(more, {}, []))
    assert "36 % (13–63) to 36 % (13–63) more" in str(answer.sentences[0])
    assert str(answer.sentences[0]).endswith("50k parameters, 4 kinds).")


SLOW, EQUAL, WIDE = (OUTCOMES[name][0] for name in ("slower", "order", "wide"))


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], "These trials do not say"),
        ([SLOW], "No, not with plain training: in the one kind of model tested, robustness grows"),
        (
            [SLOW, OUTCOMES["falls"][0]],
            "in all 2 kinds of model tested, robustness grows more slow",
        ),
        ([EQUAL, EQUAL], "Yes: in all 2 kinds of model tested"),
        ([OUTCOMES["steep"][0]], "Faster, for now: in the one kind"),
        ([WIDE], "These trials cannot tell: in the one kind"),
        (
            [SLOW, SLOW, EQUAL, WIDE],
            "It depends. Of 4 kinds of model tested, robustness grows with size more slowly than"
            " the law's ceiling in 2, as fast as the ceiling in 1 and in a way that cannot be told"
            " in 1. The ceiling rises by 216 %",
        ),
    ],
)
def test_the_headline_answers_over_all_kinds(kinds, expected):
    said = headline(Fits(kinds, {}, []))
    assert expected in str(said) and "{" not in str(said)
    assert ("216 %" in str(said)) == bool(kinds)


def test_the_search_joins_the_headline_and_answers_alone_where_plain_training_cannot():
    found = [frontier_fit(ATTAINED)]
    on_search = (
        "Yes, the most robust fits found do: on sphere, ±1 target, pure noise, their training"
        " radius grows like the square root of p/(n·d), as the law's ceiling does. Plain training"
        " reaches 10 % of that radius."
    )
    assert str(headline(Fits([], {}, [], found))) == on_search
    both = str(headline(Fits([SLOW], {}, [], found)))
    assert both.startswith("No, not with plain training") and both.endswith(on_search)
    assert "do not say" in str(headline(Fits([], {}, [], [frontier_fit("cannot tell: few")])))


def test_two_problems_share_the_headline_by_verdict():
    found = [frontier_fit(ATTAINED), frontier_fit(ATTAINED), frontier_fit(SAMPLES)]
    found[1] = found[1]._replace(problem="two")
    text = str(headline(Fits([], {}, [], found)))
    assert "pure noise; two, their" in text and "Not as the law says" in text
    assert "Plain training" not in text and set(SHORTLY) == set(WORDS)


def test_a_slope_that_few_sizes_cannot_give_is_no_gap_beside_a_decided_search():
    few = kind_fit(0, 0.1, "sphere")._replace(
        verdicts={STABILITY: judge({1: slope(NAN, NAN, "few")}, "", 1)}
    )
    rows = evidence(few.kind, "sphere")
    (answer,) = answers(rows, Fits([few], {}, [], [frontier_fit(ATTAINED)]))
    assert str(answer.plain[0]).startswith("Plain training: too few curves")
    (answer,) = answers(rows, Fits([few], {}, [], [frontier_fit("cannot tell: few")]))
    assert str(answer.plain[0]).startswith("No answer")


def test_shipped_data_come_first_and_own_tasks_by_their_name():
    fits = [kind_fit(0.1, 0.2, family) for family in ("abalone", "gpt", "sphere")]
    rows = pd.concat([evidence(fit.kind, fit.family).trials for fit in fits])
    found = answer_sentences(evidence("", "")._replace(trials=rows), Fits(fits, {}, []))
    names = [str(s).partition(":")[0] for s in found[1:]]
    assert names == ["Random data", "GPTs", "abalone"]
    assert "a network of the family abalone" in str(found[3])


def test_a_sentence_states_its_range_once():
    fit = kind_fit(0.1, 0.2)
    text = plain_sentence("slower", "an x", [fit], evidence(fit.kind, ""), "x")
    assert len({number.key for number in text.numbers()}) == len(text.numbers()) == 5


# The best fit found


def frontier_fit(verdict: str) -> FrontierFit:
    rows = pd.DataFrame(
        {
            "window": True,
            "bound": True,
            "per_sample": [1.0, 32.0],
            "p": [300, 9000],
            "d": [64, 512],
            "radius": 0.1,
            "plain": 0.01,
            "trial_id": [("a",), ("b",)],
            "plain_id": [("plain",), ("plain",)],
            "cell": ["one", "two"],
        }
    )
    none = CommonSlope(NAN, NAN, NAN, 0, 0, 0, (), "none")
    constant = Mean(0.75, 0.72, 0.78, 0.7, 0.8, 6, ("a",))
    plain = Mean(0.1, 0.08, 0.12, 0.05, 0.2, 6, ("a", "b", "plain"))
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
    assert text.endswith(f"Plain training reaches 10 % (8.0–12) of its training radius. {MEASURE}")
    assert ("0.75 (0.72–0.78)·√(p/(n·d))" in text) == (verdict == list(WORDS)[0])


def test_without_a_verdict_on_the_frontier_what_is_known_stands_first():
    undecided = frontier_fit("cannot tell: the law can bind in no cell")
    found = best_fit_sentence(undecided)
    text = str(found)
    assert text == (
        "A search for the most robust fit of each size found 10 times (8.33–12.5) the training"
        " radius of plain training (single sizes 5 to 20; 300 to 9k parameters)."
        f" {MEASURE} Whether they follow the law's order cannot be told: the law can bind in no"
        " cell."
    )
    apart = undecided.rows.assign(p=[30, 90_000], radius=[0.0, 0.1], plain=[0.01, NAN])
    rows = pd.concat([undecided.rows, apart])
    assert str(best_fit_sentence(undecided._replace(rows=rows))) == text
    behind = {number.key.split(":")[-1]: number.trials for number in found.numbers()}
    assert behind["times"] == behind["times min"] == ("a", "b", "plain")
    one = undecided._replace(rows=undecided.rows.assign(d=64), plain=None)
    assert str(best_fit_sentence(one)).endswith(
        "was not compared with plain training. How it depends on dimension is not known: all had"
        " inputs of 64 numbers."
    )


def test_an_undecided_frontier_shows_the_interval_that_leaves_it_open():
    undecided = frontier_fit("cannot tell: the exponent of d is near neither")
    wide = undecided.dimension._replace(slope=-0.3, low=-0.45, high=-0.15, failure="")
    text = str(best_fit_sentence(undecided._replace(dimension=wide)))
    assert text.endswith(
        "cannot be told: the exponent of d is near neither. At fixed p/n their radius goes like"
        " d^-0.30 (-0.45 to -0.15)."
    )


def test_a_wider_training_radius_does_not_pass_for_more_stability():
    searched = pd.DataFrame({"trial_id": ["a", "b"], STABILITY: [0.05, 0.2]})
    trained = pd.DataFrame({"trial_id": ["plain"], STABILITY: [0.1]})
    beside = evidence("", "")._replace(frontier=searched, trials=trained)
    found = stability_beside_plain(frontier_fit(ATTAINED), beside)
    assert "is 1.000 times that of plain training, and lower than it in 1 of 2" in str(found)
    assert str(stability_beside_plain(frontier_fit(ATTAINED), evidence("", ""))) == ""


def test_no_two_verdicts_sound_alike():
    assert len(set(WORDS.values())) == len(WORDS) and ATTAINED in WORDS


def test_the_best_fit_comes_before_plain_training():
    fit = kind_fit(0.1, 0.2, "sphere")
    fits = Fits([fit], {}, [], [frontier_fit(ATTAINED)])
    (answer,) = answers(evidence(fit.kind, "sphere"), fits)
    assert [str(s).split()[0] for s in answer.sentences] == ["The", "Ten"]
    assert np.isfinite([number.value for number in answer.numbers()]).all()


def test_a_store_of_searches_says_what_its_intervals_rest_on():
    fit = frontier_fit(ATTAINED)
    fit = fit._replace(rows=fit.rows.assign(curve=["one", "two"]))
    first, second = how_sure(evidence("", ""), Fits([], {}, [], [fit]))
    assert "the curves searched, 2 in all" in str(first) and "No slope of plain" in str(second)
