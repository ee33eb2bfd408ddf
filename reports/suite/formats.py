"""Agreement with a suite as Markdown and as plain values."""

from typing import Any

from reports.formats.figures import comparison_figures
from reports.formats.words import plain
from reports.sections.comparison import changed_lines, lines_of
from reports.suite.agreement import Agreement
from reports.suite.section import own_lines, summary_of


def agreement_blocks(found: Agreement) -> list[str]:
    """Return, as Markdown, the counts for every reference and a line for each figure."""
    blocks = [f"## Against {plain(found.suite.name)} ({found.suite.hash})"]
    for place, agreed in enumerate(found.agreed):
        blocks.append(plain(str(summary_of(agreed, place))))
        compared = agreed.compared
        lines = own_lines([*lines_of(compared), *changed_lines(compared)], place)
        head = "| what | measure | reference | here | change | verdict |\n|---|---|---|---|---|---|"
        rows = [
            f"| {plain(line.what)} | {plain(line.measure)} | {line.before} | {line.after}"
            f" | {line.change} | {line.verdict} |"
            for line in lines
        ]
        blocks.append("\n".join([head, *rows]))
    return blocks


def agreement_figures(found: Agreement) -> dict[str, Any]:
    """Return the agreement with every reference as plain values, each cell included."""
    return {
        "suite": found.suite.name,
        "hash": found.suite.hash,
        "sweeps_run_unchanged": found.frozen,
        "references": [
            {
                "hardware": agreed.reference.hardware,
                "rules": agreed.rules,
                "measures_versions": agreed.versions,
                **comparison_figures(agreed.compared),
            }
            for agreed in found.agreed
        ],
    }


def agreement_lines(found: Agreement) -> str:
    """Return what the command prints: a line for each reference."""
    title = f"against {found.suite.name} ({found.suite.hash})"
    return "\n".join(
        f"{title}: {summary_of(agreed, place)}" for place, agreed in enumerate(found.agreed)
    )
