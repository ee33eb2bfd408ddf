"""What a store could have next lies between its cells and one rung beyond them.

Run alone: python -m pytest tests/reports/suggest/test_moves.py
"""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from reports.evidence import read_evidence
from reports.suggest.grid import steps
from reports.suggest.moves import Move, _of_ladder, grid_field, moves
from reports.suggest.question import Question, ask
from reports.suggest.suggestion import Costed, suggest
from tests.reports.stores import make_store, power_law

KIND = "sphere, ±1 target, pure noise"


def test_steps_lie_between_and_one_rung_beyond():
    assert steps([8, 16, 32, 8]) == [11, 23, 64]
    assert steps([8, 9, 10]) == [11], "neighbours have nothing between"
    assert steps([8]) == []


def test_a_ladder_gets_larger_models_and_more_windows():
    configs = [{"width": width, "heads": 2, "n": n} for width in (16, 32) for n in (100, 200)]
    found = _of_ladder("text-stream", configs)
    cells = {(move.cells[0]["width"], move.cells[0]["n"]) for move in found}
    assert {16, 24, 32, 64} == {width for width, _ in cells}
    assert {100, 141, 200, 400} == {n for _, n in cells}
    assert all(isinstance(move, Move) and len(move.cells) == 1 for move in found)
    assert all(move.cells[0]["width"] % 2 == 0 for move in found), "a multiple of the heads"


def question_of(folder: Path, rows: list[dict[str, Any]]) -> Question:
    return ask(read_evidence(make_store(folder / "rows", rows)), KIND)


def widths(cells: tuple[dict[str, Any], ...]) -> list[int]:
    return [cell["width"] for cell in cells]


@pytest.mark.slow
def test_curves_get_sizes_past_the_onset_and_new_curves_come_with_theirs(tmp_path: Path):
    """Widths 100 to 800 at n = 100, 200 and 400; 100 is the onset, so 200, 400 and 800 are fitted.
    Worked by hand: √(200·400) = 283, √(400·800) = 566 and 800²/400 = 1600 are new sizes; n = 141,
    283 and 800 are new curves. That at 800 has twice the sizes of that at 400, and one less at its
    onset: 400²/800 = 200."""
    rows = power_law(0.2, spread=0.05, ns=(100, 200, 400), ps=(100, 200, 400, 800))
    question = question_of(tmp_path, rows)
    assert grid_field(question) == "width"

    found = moves(question)
    old = [move for move in found if not move.onset]
    assert {(move.cells[0]["n"], *widths(move.cells)) for move in old} == {
        (n, width) for n in (100, 200, 400) for width in (283, 566, 1600)
    }
    assert {move.curve for move in old} == set(question.rows["curve"])

    new = {move.cells[0]["n"]: move for move in found if move.onset}
    assert {n: widths(move.cells) for n, move in new.items()} == {
        141: [100, 200, 400, 800],
        283: [100, 200, 400, 800],
        800: [200, 400, 800, 1600],
    }


@pytest.mark.slow
def test_the_onset_of_a_new_curve_narrows_nothing(tmp_path: Path):
    rows = power_law(0.2, spread=0.05, ns=(100, 200, 400), ps=(100, 200, 400, 800))
    question = question_of(tmp_path, rows)
    (move,) = [own for own in moves(question) if own.cells[0]["n"] == 800]
    after = {
        onset: suggest(
            question, [Costed(move, (onset, 400, 800, 1600), (1.0,) * 4, (1,) * 4, 1.0)], 1, 2, "s"
        ).after
        for onset in (2, 200)
    }
    assert after[2] == after[200]


@pytest.mark.slow
def test_curves_that_vary_two_fields_at_once_are_refused(tmp_path: Path):
    rows = power_law(0.2, spread=0.05, ns=(100, 200, 400), ps=(100, 200, 400, 800))
    for own in rows:
        config = json.loads(own["config_json"])
        own["config_json"] = json.dumps(config | {"depth": config["width"] // 100})
    with pytest.raises(UserError, match=r"the cells of a curve differ in 2: depth, width$"):
        moves(question_of(tmp_path, rows))


@pytest.mark.slow
def test_a_slope_of_text_stream_gets_moves_of_curves(tmp_path: Path):
    rows = power_law(
        0.2,
        spread=0.05,
        ns=(100, 200, 400),
        ps=(100, 200, 400, 800),
        changes={"task": "text-stream"},
    )
    question = question_of(tmp_path, rows)
    assert grid_field(question) == "width"
    assert {move.cells[0]["n"] for move in moves(question) if move.onset} == {141, 283, 800}
