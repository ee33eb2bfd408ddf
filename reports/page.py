"""Make the report's page, one HTML file that makes no network request: evidence → fits → sections
→ page.

    html = render(read_evidence(STORE))
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from markupsafe import Markup

import harness
from reports.answer import answer_sentences
from reports.charts.chart import Chart
from reports.charts.page_data import chart_data
from reports.charts.trial_texts import trial_texts
from reports.evidence import Evidence
from reports.law import Fits, fit_evidence
from reports.ledger import in_order, ledger
from reports.mailable import mailable
from reports.sections import all_sections
from reports.sections.chapters import in_chapters, numbered
from reports.sections.header import page_title
from reports.sections.section import Section, as_json, fill_in_pieces, read_template
from reports.sweep_texts import sweep_texts


def render(evidence: Evidence) -> str:
    """Return the HTML of the page: its sections, the ledger of their numbers, and their charts."""
    fits = fit_evidence(evidence)
    return b"".join(pieces(evidence, fits, all_sections(evidence, fits))).decode()


def pieces(evidence: Evidence, fits: Fits, sections: list[Section]) -> Iterator[bytes]:
    """Yield the page's HTML in order. As one text it would take two bytes a character, because of
    its few signs beyond ASCII, and be copied several times: gigabytes for a large store."""
    numbers = [number for section in sections for number in section.numbers]
    order = in_order(evidence.all_trials)["trial_id"].tolist() if numbers else []
    charts = charts_by_key(sections)
    drawn = {trial for chart in charts.values() for trial in chart.trials()}
    texts = trial_texts(evidence, drawn)
    data = as_json(chart_data(charts))

    def to_mail(text: str) -> Markup:
        return Markup(mailable(str(text), *evidence.stores.values()))

    chapters = numbered(in_chapters(sections))
    chapters = [
        chapter._replace(
            sections=[s._replace(html=to_mail(s.html), figures={}) for s in chapter.sections]
        )
        for chapter in chapters
    ]
    filled = fill_in_pieces(
        "page.html.j2",
        title=page_title(evidence),
        description=mailable(_description(evidence, fits), *evidence.stores.values()),
        version=harness.__version__,
        written=f"{datetime.now(UTC):%-d %B %Y, %H:%M} UTC",
        chapters=chapters,
        sweep_texts=as_json(sweep_texts(evidence)),
        ledger=to_mail(as_json(ledger(numbers, order))),
        chart_data=to_mail(data),
        trial_texts=to_mail(as_json(texts._asdict())),
        style=read_template("page.css"),
        choices_style=Markup("\n".join(section.style for section in sections if section.style)),
        chart_style=read_template("chart.css"),
        script=read_template("page.js"),
        chart_script=read_template("chart.js"),
        trials_script=read_template("trials.js"),
        tables_script=read_template("tables.js"),
    )
    for piece in filled:
        yield piece.encode()


def _description(evidence: Evidence, fits: Fits) -> str:
    """Return the answer in plain text, which a chat shows beside a link to the page."""
    return " ".join(map(str, answer_sentences(evidence, fits)))


def charts_by_key(sections: list[Section]) -> dict[str, Chart]:
    """Return the charts of all sections. Raise ValueError for a key that two sections use."""
    charts: dict[str, Chart] = {}
    for section in sections:
        if shared := charts.keys() & section.figures.keys():
            raise ValueError(f"two sections have charts with the keys {sorted(shared)}")
        charts |= section.figures
    return charts
