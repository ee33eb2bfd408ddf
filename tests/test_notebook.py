"""The notebook of docs/ runs from top to bottom.

Run alone: python -m pytest tests/test_notebook.py
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

NOTEBOOK = json.loads((ROOT / "docs" / "rows.ipynb").read_text())


def cells() -> list[str]:
    return ["".join(c["source"]) for c in NOTEBOOK["cells"] if c["cell_type"] == "code"]


@pytest.mark.slow
def test_its_cells_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    left: dict[str, Any] = {}
    for k, cell in enumerate(cells()):
        exec(compile(cell, f"cell {k}", "exec"), left)

    assert left["plan"].trials == left["outcome"].ok == len(left["ok"]) == 3
    assert sorted(left["ok"]["width"]) == [4, 8, 16]
    assert left["fits"]["failure"].str.contains("too few for an interval").any()
    assert "sphere" in (tmp_path / "notebook.html").read_text()


def test_it_is_kept_without_outputs():
    """So that a change of it can be read."""
    kept = [
        cell for cell in NOTEBOOK["cells"] if cell.get("outputs") or cell.get("execution_count")
    ]
    assert cells() and not kept
