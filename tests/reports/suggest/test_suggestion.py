"""From rows to a choice: the exponent that was asked for gets narrower, within the budget.

Run alone: python -m pytest tests/reports/suggest/test_suggestion.py
"""

from pathlib import Path

import pytest

from harness.errors import UserError
from reports.evidence import read_evidence
from reports.suggest.moves import moves
from reports.suggest.question import ask
from reports.suggest.suggestion import Costed, suggest
from tests.reports.ladder_rows import made
from tests.reports.language_rows import language_row
from tests.reports.stores import failed, make_store, power_law

pytestmark = pytest.mark.slow

SETTINGS = {"heads": 2}


def test_a_ladders_next_runs_narrow_its_exponents(tmp_path: Path):
    """Costs are 6·N·D."""
    evidence = read_evidence(make_store(tmp_path / "rows", made(settings=SETTINGS)))
    chosen = {}
    for exponent in ("alpha", "beta", "compute"):
        question = ask(evidence, exponent)
        costed = []
        for move in moves(question):
            (cell,) = move.cells
            row = language_row(cell["width"], 64 * cell["n"], 1.0)
            costed.append(
                Costed(
                    move,
                    (row["p"],),
                    (row["tokens_seen"],),
                    (row["d_ambient"],),
                    6.0 * row["p"] * row["tokens_seen"],
                )
            )
        found = suggest(question, costed, 2e13, 1, "FLOP")
        assert found.after < 0.9 * found.before and 0 < found.cost <= 2e13
        chosen[exponent] = {str(own.move.cells) for own in found.chosen}
    assert chosen["alpha"] != chosen["beta"]

    with pytest.raises(UserError, match="is less than the cheapest move costs"):
        suggest(question, costed, 1.0, 1, "FLOP")


def test_rows_that_say_too_little_are_refused(tmp_path: Path):
    evidence = read_evidence(make_store(tmp_path / "two", power_law(0.2, spread=0.05, ns=(100,))))
    kind = evidence.trials["kind"].iloc[0]
    with pytest.raises(
        UserError, match="its slope rests on 1 curves, and a choice needs at least 3"
    ):
        ask(evidence, kind)
    with pytest.raises(UserError, match="the store has no rows of text-stream"):
        ask(evidence, "beta")


def test_each_ladder_is_asked_for_alone(tmp_path: Path):
    """Another learning rate has another surface; a cell of which a seed failed has none."""
    cold = made(settings={"lr": 1e-4})
    both = read_evidence(make_store(tmp_path / "two", made(settings={"lr": 1e-3}) + cold))
    with pytest.raises(
        UserError,
        match=r"^--narrow beta: a choice is for one ladder, and the rows of text-stream are 2, by"
        r" their settings: \(context 64, lr 0.0001\); \(context 64, lr 0.001\)$",
    ):
        ask(both, "beta")

    lost = {key: cold[0][key] for key in ("task", "config_json", "settings_json")}
    rest = read_evidence(make_store(tmp_path / "lost", [*cold[1:], failed(**lost)]))
    assert len(ask(rest, "beta").rows) == len(cold) - 2
