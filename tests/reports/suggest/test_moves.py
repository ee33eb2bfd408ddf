"""What a store could have next lies between its cells and one rung beyond them.

Run alone: python -m pytest tests/reports/suggest/test_moves.py
"""

from reports.suggest.moves import Move, _of_ladder, steps


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
