"""A store that agrees with the reference is said to, one that was changed is not.

Run alone: python -m pytest tests/reports/suite/test_agreement.py
"""

import json
import re
from pathlib import Path

import pytest

from harness.errors import UserError
from reports.command import make_report
from reports.evidence import read_evidence
from reports.law import fit_all
from reports.measures import STABILITY
from reports.suite.agreement import Agreement, agreement
from reports.suite.formats import agreement_blocks, agreement_figures, agreement_lines
from reports.suite.section import section
from reports.suite.suite import Reference, Suite, text_hash
from tests.reports.stores import make_store, power_law, row

pytestmark = pytest.mark.slow

RULES = "4 (of then)"


def store(folder: Path, slope: float, seed: int, name: str = "store", ns=(100, 200, 400)) -> Path:
    searches = [
        row(
            p,
            n,
            frontier_radius=0.001 * p**0.5,
            radius_law=0.01 * p**0.5,
            settings={"frontier": "adversary"},
            rules=RULES,
        )
        for n in ns
        for p in (100, 200, 400, 800)
    ]
    trained = power_law(slope, spread=0.05, seed=seed, ns=ns, changes={"rules": RULES})
    return make_store(folder / name, trained + searches)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    reference = store(tmp_path_factory.mktemp("reference"), 0.1, seed=0)
    hardware = Reference("a <b>machine</b>", reference, "tiny")
    return Suite("tiny-v1", {"tiny": text_hash(b"tiny")}, (hardware,))


def found(suite: Suite, folder: Path, slope: float, **how) -> Agreement:
    return agreement(read_evidence(store(folder, slope, seed=2, **how)), suite)


def test_a_repetition_agrees(suite: Suite, tmp_path: Path):
    (agreed,) = found(suite, tmp_path, 0.1).agreed
    assert agreed.compared.slopes and not any(c.beyond for c in agreed.compared.slopes)
    assert not any(c.beyond for c in agreed.compared.cells)


def test_another_slope_differs(suite: Suite, tmp_path: Path):
    """On the page, in Markdown, in JSON and in what the command prints."""
    differs = found(suite, tmp_path, 0.4)
    (agreed,) = differs.agreed
    assert any(c.beyond for c in agreed.compared.slopes)

    page = section(differs)
    assert "differs beyond noise" in page.html and "a &lt;b&gt;machine" in page.html
    keys = [number.key for number in page.numbers]
    assert len(keys) == len(set(keys)) and all(key.startswith("against:0:") for key in keys)
    assert "differs beyond noise" in "\n".join(agreement_blocks(differs))
    assert agreement_figures(differs)["references"][0]["slopes"][0]["beyond_noise"]
    json.dumps(agreement_figures(differs), allow_nan=False)
    assert agreement_figures(differs)["references"][0]["rules"] == RULES and RULES in page.html
    lines = agreement_lines(differs)
    assert suite.hash in lines and not re.search(r"\b0 differ", lines)


def test_other_curves_have_nothing_in_common(suite: Suite, tmp_path: Path):
    """Their slopes could be compared, and would say nothing about agreement. So it is with the
    constants of the frontier."""
    with pytest.raises(UserError, match="no curve and no cell in common"):
        found(suite, tmp_path, 0.1, ns=(150, 300, 600))


def test_conditions_hold_for_the_reference_too(suite: Suite, tmp_path: Path):
    """Of a reference without such rows nothing is said."""
    small = store(tmp_path, 0.1, seed=2)
    other = Reference("another", store(tmp_path, 0.1, seed=0, name="other", ns=(800,)), "tiny")
    both = suite._replace(references=(*suite.references, other))
    where = ["n<=400", "p>100"]
    (agreed,) = agreement(read_evidence(small, where=where), both).agreed
    assert agreed.reference.hardware == "a <b>machine</b>"
    (slope,) = [c for c in agreed.compared.slopes if c.column == STABILITY]
    rows = read_evidence(agreed.reference.folder, where=where).trials
    assert slope.before == pytest.approx(fit_all(rows).slopes[slope.what, STABILITY].slope)

    with pytest.raises(UserError, match="no cell in common with the suite's reference rows that"):
        agreement(read_evidence(small, where=["trial_id!=none"]), both._replace(references=()))


def test_what_does_not_go_together_is_refused(tmp_path: Path):
    place = str(store(tmp_path, 0.1, seed=0))
    with pytest.raises(UserError, match="--against and --format csv do not go together"):
        make_report([place], format="csv", against="universal-v1")
    with pytest.raises(UserError, match="universal-v1 is among the stores; name yours alone"):
        make_report([place, "universal-v1"], format="md", against="universal-v1")
