"""Make the report's page, one HTML file that makes no network request: evidence → fits → sections
→ page.

    html = render(read_evidence(STORE))
"""

import json
from collections.abc import Iterator

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from reports.charts.trial_texts import trial_texts
from reports.comparison import Comparison
from reports.evidence import Evidence
from reports.law import fit_all
from reports.ledger import in_order, ledger
from reports.sections import all_sections, comparison
from reports.sections.header import page_title
from reports.sections.section import Section, as_json, fill_in_pieces, read_template
from reports.sweep_texts import sweep_texts


def render(evidence: Evidence) -> str:
    """Return the HTML of the page: its sections, the ledger of their numbers, and their charts."""
    return b"".join(pieces(evidence)).decode()


def pieces(evidence: Evidence, compared: Comparison | None = None) -> Iterator[bytes]:
    """Yield the page's HTML in order. compared: what changed between two stores, for a section of
    its own after the header. As one text it would take two bytes a character, because of
    its few signs beyond ASCII, and be copied several times: gigabytes for a large store."""
    fits = fit_all(evidence.trials)
    sections = all_sections(evidence, fits)
    if compared is not None:
        sections.insert(1, comparison.section(compared))

    numbers = [number for section in sections for number in section.numbers]
    order = in_order(evidence.all_trials)["trial_id"].tolist() if numbers else []
    figures = {
        key: as_json(json.loads(str(figure.to_json())))
        for key, figure in charts_by_key(sections).items()
    }
    sections = [section._replace(figures={}) for section in sections]  # they take much memory

    filled = fill_in_pieces(
        "page.html.j2",
        title=page_title(evidence),
        sections=sections,
        sweep_texts=as_json(sweep_texts(evidence)),
        ledger=as_json(ledger(numbers, order)),
        figures=figures,
        trial_texts=as_json(trial_texts(evidence)),
        style=read_template("page.css"),
        script=read_template("page.js"),
        trials_script=read_template("trials.js"),
        plotly=Markup(get_plotlyjs()),
    )
    for piece in filled:
        yield piece.encode()


def charts_by_key(sections: list[Section]) -> dict[str, go.Figure]:
    """Return the charts of all sections. Raise ValueError for a key that two sections use."""
    charts: dict[str, go.Figure] = {}
    for section in sections:
        if shared := charts.keys() & section.figures.keys():
            raise ValueError(f"two sections have charts with the keys {sorted(shared)}")
        charts |= section.figures
    return charts
