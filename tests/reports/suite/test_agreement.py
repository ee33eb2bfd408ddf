"""A store that agrees with the reference is said to, one that was changed is not.

Run alone: python -m pytest tests/reports/suite/test_agreement.py
"""

import json
from pathlib import Path

import pytest

from harness.errors import UserError
from reports.command import make_report
from reports.evidence import read_evidence
from reports.suite.agreement import Agreement, agreement
from reports.suite.formats import agreement_blocks, agreement_figures, agreement_lines
from reports.suite.section import section
from reports.suite.suite import Reference, Suite, text_hash
from tests.reports.stores import make_store, power_law

pytestmark = pytest.mark.slow

RULES = "4 (of then)"


def store(folder: Path, slope: float, seed: int, name: str = "store", ns=(100, 200, 400)) -> Path:
    return make_store(folder / name, power_law(slope, spread=0.05, seed=seed, ns=ns))


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    reference = store(tmp_path_factory.mktemp("reference"), 0.1, seed=0)
    hardware = Reference("a <b>machine</b>", reference, "tiny", RULES)
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
    assert suite.hash in agreement_lines(differs) and "0 differ" not in agreement_lines(differs)


def test_other_curves_have_nothing_in_common(suite: Suite, tmp_path: Path):
    """Their slopes could be compared, and would say nothing about agreement."""
    with pytest.raises(UserError, match="no curve and no cell in common"):
        found(suite, tmp_path, 0.1, ns=(150, 300, 600))


def test_what_does_not_go_together_is_refused(tmp_path: Path):
    place = str(store(tmp_path, 0.1, seed=0))
    with pytest.raises(UserError, match="--against and --format csv do not go together"):
        make_report([place], format="csv", against="universal-v1")
    with pytest.raises(UserError, match="universal-v1 is among the stores; name yours alone"):
        make_report([place, "universal-v1"], format="md", against="universal-v1")
