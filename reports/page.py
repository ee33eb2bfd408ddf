"""Write the report, one HTML file that makes no network request: evidence → fits → sections → page.

unilaw report STORE
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

import harness
from harness.errors import UserError
from harness.store.whole_file import write_whole
from reports.answer import answer_sentences
from reports.charts.chart import Chart
from reports.charts.page_data import chart_data
from reports.charts.trial_texts import trial_texts
from reports.evidence import Evidence, read_evidence
from reports.law import Fits, fit_evidence
from reports.mailable import mailable
from reports.sections import all_sections
from reports.sections.chapters import in_chapters, numbered
from reports.sections.header import page_title
from reports.sections.section import Section, as_json, fill_in_pieces, read_template


def write_report(where: str | Path, target: Path | None = None) -> str:
    """Read the store, fit, write the page and return where it is: `target`, or _report.html in the
    store. The page appears in one rename.

    Raise UserError when there is no store, or when the target cannot be written.
    """
    evidence = read_evidence(where)
    content = b"".join(_pieces(evidence))
    if target is None:
        try:
            return evidence.store.put_report(content)
        except UserError as e:
            raise UserError(f"{e}; write the report elsewhere with -o FILE.html") from None
    if target.is_dir():
        raise UserError(f"the report '{target}' is a folder; name a file")

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
    except OSError as e:
        raise UserError(f"the report '{target}' cannot be written: {e.strerror}") from None
    return str(target)


def render(evidence: Evidence) -> str:
    """Return the HTML of the page: its sections, the ledger of their numbers, and their charts."""
    return b"".join(_pieces(evidence)).decode()


def _pieces(evidence: Evidence) -> Iterator[bytes]:
    """Yield the page's HTML in order. As one text it would take two bytes a character, because of
    its few signs beyond ASCII, and be copied several times: gigabytes for a large store."""
    fits = fit_evidence(evidence)
    sections = all_sections(evidence, fits)

    # Sections may state the same number; the ledger lists each key once.
    ledger = {number.key: number for section in sections for number in section.numbers}
    charts = charts_by_key(sections)
    drawn = {trial for chart in charts.values() for trial in chart.trials()}
    texts = trial_texts(evidence, drawn)
    data = as_json(chart_data(charts))

    def to_mail(text: str) -> Markup:
        return Markup(mailable(str(text), evidence.store))

    chapters = numbered(in_chapters(sections))
    chapters = [
        chapter._replace(
            sections=[s._replace(html=to_mail(s.html), figures={}) for s in chapter.sections]
        )
        for chapter in chapters
    ]
    pieces = fill_in_pieces(
        "page.html.j2",
        title=page_title(evidence),
        description=mailable(_description(evidence, fits), evidence.store),
        version=harness.__version__,
        written=f"{datetime.now(UTC):%-d %B %Y, %H:%M} UTC",
        chapters=chapters,
        ledger=to_mail(as_json([number.as_json() for number in ledger.values()])),
        chart_data=to_mail(data),
        trial_texts=to_mail(as_json(texts._asdict())),
        style=read_template("page.css"),
        chart_style=read_template("chart.css"),
        script=read_template("page.js"),
        chart_script=read_template("chart.js"),
    )
    for piece in pieces:
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
