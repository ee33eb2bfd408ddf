"""docs/fitting.md shows the forms as the registry has them, the output that its example prints, and
how often intervals hold planted truths.

python -m tests.test_fitting_page     # writes all three anew

Run alone: python -m pytest tests/test_fitting_page.py
"""

import re
import textwrap

import numpy as np
import pytest

from reports.scaling.forms import FORMS
from reports.scaling.table_fit import fit_table
from tests import ROOT
from tests.benchmarks.fit_coverage import read, summary, table
from tests.test_readme import block

PAGE = ROOT / "docs" / "fitting.md"
TABLE = ROOT / "docs" / "planted.csv"
COMMAND = "$ unilaw fit docs/planted.csv --form chinchilla --budget 1e20"


def forms_table() -> str:
    """Return every form as a table in Markdown."""
    lines = [
        "| form | formula | needs | measure | parameters | source |",
        "|---|---|---|---|---|---|",
    ]
    for form in FORMS.values():
        parameters = ", ".join(parameter.symbol for parameter in form.parameters)
        needs = ", ".join(form.inputs)
        formula = form.formula.replace("|", "\\|")
        cells = [f"`{form.name}`", formula, needs, form.measure, parameters, form.source]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def example() -> str:
    """Return the command of the example and what it prints."""
    return f"{COMMAND}\n{fit_table(TABLE, ['chinchilla'], budget=1e20)}\n"


def coverage() -> str:
    """Return how often intervals held the truth in the designs that were run."""
    rows = read()
    return f"{table(rows)}\n{textwrap.fill(summary(rows), 110)}\n"


def parts(text: str) -> tuple[list[str], list[float]]:
    """Return a text's words, however its lines are broken, and its numbers."""
    text = text.replace("\N{MINUS SIGN}", "-")
    number = r"(?<![\w.])-?\+?\d[\d.]*(?:e-?\d+)?"
    numbers = [float(found.rstrip(".")) for found in re.findall(number, text)]
    return re.sub(number, "0", text).split(), numbers


def test_the_page_lists_every_form_as_the_registry_has_it():
    stated = block(PAGE.read_text(), "forms").strip()
    assert stated == forms_table().strip(), "python -m tests.test_fitting_page writes it anew"


def test_the_page_shows_the_coverage_that_was_counted():
    stated = block(PAGE.read_text(), "coverage").strip()
    assert stated == coverage().strip(), "python -m tests.test_fitting_page writes it anew"


@pytest.mark.slow
def test_the_examples_output_is_what_the_command_prints():
    stated, printed = parts(block(PAGE.read_text(), "example")), parts(example())
    assert stated[0] == printed[0], "python -m tests.test_fitting_page writes it anew"
    # Another kind of processor rounds otherwise, which moves ends of intervals in the third digit.
    np.testing.assert_allclose(printed[1], stated[1], rtol=0.03, atol=0.02)


if __name__ == "__main__":
    text = PAGE.read_text()
    contents = {
        "forms": f"\n{forms_table()}\n",
        "example": f"```\n{example()}```\n",
        "coverage": f"\n{coverage()}\n",
    }
    for name, content in contents.items():
        marks = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.S)
        text = marks.sub(lambda found, content=content: found[1] + content + found[2], text)
    PAGE.write_text(text)
