"""The answer under other choices: a sentence for every kind and quantity, slopes against parameters
counted without embeddings, and values that an address and a style can hold.

Run alone: python -m pytest tests/reports/sections/test_answer_choices.py
"""

import re
from pathlib import Path

import pytest

from reports.evidence import Evidence, read_evidence
from reports.law import Fits, fit_evidence
from reports.sections.answer_choices import kind_choices, style, told_by_choice
from reports.sections.quantities import MAIN, WITHOUT_EMBEDDINGS, measured
from tests.reports.stores import make_store, power_law, row

EMBEDDINGS = 150
HOSTILE = "x;}</style><script>alert(1)</script>"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, Fits]:
    """Random data, a family of a hostile name, and GPTs whose stability goes with the parameters
    beyond their embeddings to the power .3."""
    noisy = {"spread": 0.05, "ns": (100, 200, 400)}
    rows = power_law(0.2, **noisy)
    rows += power_law(0.2, **noisy, changes={"family": HOSTILE})
    for n in (100, 200, 400):
        for rest in (50, 100, 200, 400, 800, 1600):
            groups = [("embedding", EMBEDDINGS), ("blocks", rest)]
            rows.append(
                row(
                    rest + EMBEDDINGS,
                    n,
                    family="gpt",
                    stability=0.01 * rest**0.3,
                    params_by_group=[
                        {"group": name, "trainable": size, "frozen": 0} for name, size in groups
                    ],
                )
            )
    folder: Path = make_store(tmp_path_factory.mktemp("choices") / "store", rows)
    evidence = read_evidence(folder)
    return evidence, fit_evidence(evidence)


def test_every_kind_has_a_sentence_for_every_quantity(found: tuple[Evidence, Fits]):
    evidence, fits = found
    quantities = measured(evidence, fits)
    told = told_by_choice(evidence, fits, quantities)
    assert quantities[0].quantity == MAIN and len(quantities) > 2
    assert len({(t.kind, t.quantity) for t in told}) == len(told) == 3 * len(quantities)
    for own in told:
        text = str(own.sentence)
        assert "{" not in text and ("parameters" in text or text.startswith("No slope of"))
    keys = [number.key for own in told for number in own.sentence.numbers()]
    values = {n.key: n.value for own in told for n in own.sentence.numbers()}
    for own in told:
        for number in own.sentence.numbers():
            assert values[number.key] == number.value  # no key stands for two figures
    assert len(keys) > 3 * len(told)


def test_embeddings_can_be_left_out_of_p(found: tuple[Evidence, Fits]):
    evidence, fits = found
    (own,) = [m for m in measured(evidence, fits) if m.quantity == WITHOUT_EMBEDDINGS]
    (kind,) = own.slopes
    assert kind.startswith("gpt") and own.slopes[kind].slope == pytest.approx(0.3, abs=1e-9)
    assert fits.slopes_of(MAIN.column)[kind].slope > 0.33

    (told,) = [
        one.sentence
        for one in told_by_choice(evidence, fits, [own])
        if "not counting" in str(one.sentence)
    ]
    sizes = {number.key.split(":")[-1]: number.value for number in told.numbers()}
    assert sizes["p_max"] == 1600
    assert sizes["share_min"] == pytest.approx(EMBEDDINGS / (1600 + EMBEDDINGS))


def test_choices_are_safe_in_an_address_and_in_a_style(found: tuple[Evidence, Fits]):
    evidence, fits = found
    choices = list(kind_choices(fits).values())
    assert len({choice.value for choice in choices}) == len(choices) == 3
    assert all(re.fullmatch("[a-z0-9-]+", choice.value) for choice in choices)
    rules = style(choices, [own.quantity for own in measured(evidence, fits)])
    assert "<" not in rules and rules.count("{") == rules.count("}")
    assert "#chart-slopes-lipschitz:checked" in rules
