"""Models that learned their own input space: they enter no fit, claim or verdict, and are drawn and
listed apart, beside models of the same windows on a fixed embedding.

Run alone: python -m pytest tests/reports/sections/test_own_embeddings.py
"""

import json
from pathlib import Path
from typing import Any

import pytest

from reports.claims import check_claims
from reports.evidence import LEARNED_SPACE, Evidence, read_evidence
from reports.formats.rows import as_csv
from reports.law import fit_evidence
from reports.measures import STABILITY
from reports.sections import all_sections
from reports.sections.law import section as law
from reports.sections.own_embeddings import section
from tests.reports.language_rows import text_row
from tests.reports.page_reader import Page
from tests.reports.stores import make_store

SIZES = {8: 4000, 16: 10_000, 32: 30_000, 64: 100_000, 128: 300_000}
"""Width → p."""


def a_row(width: int, n: int, seed: int, d_in: int | None, stability: float) -> dict[str, Any]:
    """Return a row of a model on a fixed embedding, or with d_in None on its own."""
    embedding: dict[str, Any] = {"table": "learned"} if d_in is None else {"d_in": d_in}
    settings = {"n": n, "context": 8, "lr": 0.003, **embedding}
    apart: dict[str, Any] = {}
    if d_in is None:
        apart = {"family": "gpt-learned", "isoperimetry": "outside"}
    return text_row(
        SIZES[width],
        seed=seed,
        n=n,
        d=8 * (d_in or width),
        stability=stability,
        settings=settings,
        settings_json=json.dumps(settings),
        config_json=json.dumps({**settings, "width": width}),
        trial_id=f"{width:04x}{n:08x}{seed:02x}{d_in or 0:02x}",
        **apart,
    )


def fixed_rows() -> list[dict[str, Any]]:
    """Return rows of slopes .1 to .14, S 2 % apart over the seeds."""
    return [
        a_row(width, n, seed, d_in, (0.02 + 0.0004 * seed) * p**b)
        for (n, d_in), b in {
            (200, 4): 0.1,
            (200, 64): 0.12,
            (800, 4): 0.13,
            (800, 64): 0.14,
        }.items()
        for width, p in SIZES.items()
        for seed in (0, 1)
    ]


def learned_rows() -> list[dict[str, Any]]:
    """Return rows that would move every fit: slope 1/2."""
    return [
        a_row(width, n, seed, None, (0.001 + 0.0001 * seed) * p**0.5)
        for n in (200, 800)
        for width, p in SIZES.items()
        for seed in (0, 1)
    ]


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return read_evidence(make_store(tmp_path_factory.mktemp("fixed") / "store", fixed_rows()))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("both") / "store"
    return read_evidence(make_store(folder, fixed_rows() + learned_rows()))


def test_they_are_parted_from_plain_training_and_hollow(fixed: Evidence, both: Evidence):
    assert len(both.outside) == len(learned_rows()) and fixed.outside.empty
    assert list(both.trials["trial_id"]) == list(fixed.trials["trial_id"])
    assert len(both.all_trials) == len(fixed_rows()) + len(learned_rows())
    assert set(both.outside["why_hollow"]) == {LEARNED_SPACE}
    for column in ("in_fit", "whole", "tests_stability", "tests_lipschitz"):
        assert not both.outside[column].any(), column
    assert both.outside["below_noise"].all(), "the noise condition is met, the law's space is not"


def test_no_fit_claim_or_verdict_uses_them(fixed: Evidence, both: Evidence, tmp_path: Path):
    one, other = fit_evidence(fixed), fit_evidence(both)
    assert [fit.kind for fit in other.kinds] == [fit.kind for fit in one.kinds]
    assert str(other) == str(one)
    said = [[str(claim) for claim in check_claims(e, f)] for e, f in ((fixed, one), (both, other))]
    assert said[0] == said[1]

    learned = set(both.outside["trial_id"])
    numbers = [n for own in all_sections(both, other) for n in own.numbers]
    judging = ("law:", "shape:", "collapse:", "recipe:", "C", "answer:", "filter:", "budget:")
    judged = [n for n in numbers if n.key.startswith(judging) and not n.key.endswith(":largest")]
    used = {trial for number in judged for trial in number.trials}
    assert used and not used & learned


def test_the_table_of_fits_leaves_them_out(both: Evidence):
    import unilaw

    kinds = set(unilaw.law_fits(unilaw.rows(str(both.store)))["kind"])
    assert kinds == set(both.trials["kind"])


def test_the_law_chart_draws_them_hollow_and_fits_no_line(both: Evidence):
    made = law(both, fit_evidence(both))
    assert made is not None
    drawing = made.figures["law"].drawings[0]
    (own,) = (marks for marks in drawing.marks if marks.name.startswith("gpt-learned"))
    assert not own.filled and len(own.x) == len(learned_rows())
    others = {marks.colour for marks in drawing.marks if marks.name != own.name}
    assert own.colour not in others | {line.colour for line in drawing.lines}
    assert "hollow, because these models learned their own input space" in str(made.html)


def test_their_section_has_their_cells_beside_those_of_fixed_embeddings(both: Evidence):
    made = section(both, fit_evidence(both))
    assert made is not None
    values = {number.key: number.value for number in made.numbers}
    assert values["own_embeddings:0:10000:d"] == 8 * 16
    assert values["own_embeddings:0:10000:p/(n·d)"] == 10_000 / (200 * 8 * 16)
    assert values["own_embeddings:0:10000:S"] == pytest.approx(0.00105 * 10_000**0.5)
    assert values["own_embeddings:0:10000:d_in 64"] == pytest.approx(0.0202 * 10_000**0.12)
    assert values["own_embeddings:1:4000:d_in 4"] == pytest.approx(0.0202 * 4000**0.13)
    text = " ".join(" ".join(Page(str(made.html)).text).split())
    assert "outside the law all the same" in text
    assert text.count("parameters S goes from") == 2


def test_a_page_of_them_alone_says_that_nothing_is_judged(tmp_path: Path):
    alone = read_evidence(make_store(tmp_path / "store", learned_rows()))
    fits = fit_evidence(alone)
    assert not fits.kinds and not fits.collapses
    by_key = {own.key: own for own in all_sections(alone, fits)}
    assert "own_embeddings" in by_key
    assert "gpt-learned" in as_csv(alone) and LEARNED_SPACE.split(":")[0] in as_csv(alone)
    assert STABILITY in as_csv(alone)


def test_without_them_there_is_no_section(fixed: Evidence):
    assert section(fixed, fit_evidence(fixed)) is None
