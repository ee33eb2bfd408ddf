"""`unilaw report STORE…`: read, fit, and write one file in the format that was asked for.

Choose the format, read the rows, refuse a store without any, render, and say where it went.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError, did_you_mean
from harness.store.store import Store
from harness.store.user_files import refuse_file, refuse_folder, write_over
from reports.charts.files import figures as draw
from reports.comparison import Comparison, compare
from reports.evidence import Evidence, read_evidence
from reports.formats.figures import as_figures
from reports.formats.rows import as_csv
from reports.formats.words import as_markdown
from reports.law import fit_all, fit_evidence
from reports.page import charts_by_key, pieces
from reports.sections import all_sections, comparison
from reports.suite import section as suite_section
from reports.suite.agreement import Agreement, agreement
from reports.suite.formats import agreement_blocks, agreement_figures, agreement_lines
from reports.suite.suite import places_of, suite_named

FORMATS = ("html", "md", "json", "csv")
SUFFIXES = {".html": "html", ".htm": "html", ".md": "md", ".json": "json", ".csv": "csv"}
"""Suffix of a file → the format that it has."""


def make_report(
    places: Sequence[str],
    output: Path | None = None,
    format: str | None = None,
    where: Sequence[str] = (),
    comparing: bool = False,
    figures: Path | None = None,
    against: str | None = None,
) -> str:
    """Write the report on one store, or on several as one. Return what to print: where the file is,
    or the report itself where it goes to no file, as all formats but HTML do without `output`.

    places: stores; the name of a suite stands for its reference rows. comparing: also say what
    changed from the first of two stores to the second. figures: a folder that gets each chart of
    the page as SVG and PDF. against: a suite; also say whether the rows agree with its reference
    rows within noise.

    Raise UserError for a format that does not exist or is not that of the file, for options that do
    not go together, for a store that does not exist or holds no rows, for conditions that no row
    fits, and for a file that cannot be written.
    """
    chosen = format_of(output, format)
    stores = [store for place in places for store in places_of(place)]
    if comparing:
        _refuse_to_compare(stores, chosen)
    suite = None if against is None else suite_named(against)
    if suite is not None:
        _refuse_against(suite.name, places, chosen)
    if figures is not None:
        if chosen != "html":
            raise UserError(f"--figures draws the page's charts, and --format is {chosen}")
        refuse_folder(figures, f"--figures '{figures}'")
    if output is not None:
        refuse_file(output, "the report")

    evidence = read_evidence(*stores, where=where)
    if not evidence.attempts:
        raise UserError(_no_rows(places))

    compared = _compared(stores, where, tuple(evidence.stores)) if comparing else None
    agreed = None if suite is None else agreement(evidence, suite)
    content = _render(evidence, chosen, compared, agreed, figures)
    drawn = f"\nfigures: {figures}" if figures is not None else ""
    drawn += f"\n{agreement_lines(agreed)}" if agreed is not None else ""
    if output is not None:
        return f"report: {_write(output, content)}{drawn}"
    if chosen == "html":
        return f"report: {_write_beside(evidence, content)}{drawn}"
    return content.decode().removesuffix("\n")


def format_of(output: Path | None, format: str | None) -> str:
    """Return the format that --format names, or the file's suffix, or else html."""
    if format is not None and format not in FORMATS:
        raise UserError(
            f"--format {format[:60]!r}: must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
            f"{did_you_mean(format, FORMATS)}"
        )
    suffix = output.suffix.lower() if output is not None else ""
    if suffix and suffix not in SUFFIXES:
        raise UserError(
            f"the report '{output}' would be {suffix} by its name, which is none of the formats:"
            " name a file that ends with .html, .md, .json or .csv"
            + ("; a browser prints the .html as PDF" if suffix == ".pdf" else "")
        )
    of_file = SUFFIXES.get(suffix)
    if format is not None and of_file not in (None, format):
        raise UserError(f"--format {format} and the file '{output}' do not go together")
    return format or of_file or "html"


def _no_rows(places: Sequence[str]) -> str:
    if len(places) > 1:
        return "the stores hold no rows yet, so there is nothing to report"
    return (
        f"the store '{places[0]}' holds no rows yet, so there is nothing to report; `unilaw run"
        f" SWEEP --store {shlex.quote(places[0])}` writes some"
    )


def _refuse_to_compare(places: Sequence[str], chosen: str) -> None:
    if len(places) != 2:
        raise UserError(f"--compare needs two stores, not {len(places)}")
    if chosen == "csv":
        raise UserError(
            "--compare and --format csv do not go together: the table has the rows of both stores,"
            " which its column 'store' names"
        )


def _refuse_against(suite: str, places: Sequence[str], chosen: str) -> None:
    if suite in places and not Path(suite).exists():
        raise UserError(
            f"--against {suite} compares the store with the suite's own rows, and {suite} is among"
            " the stores; name yours alone"
        )
    if chosen == "csv":
        raise UserError(
            "--against and --format csv do not go together: the table has one row per trial and no"
            " place for an agreement; use html, md or json"
        )


def _compared(places: Sequence[str], where: Sequence[str], names: tuple[str, ...]) -> Comparison:
    """Return what changed from the first store to the second."""
    first, second = (read_evidence(place, where=where) for place in places)
    one, other = names
    return compare(first, fit_all(first.trials), second, fit_all(second.trials), (one, other))


def _render(
    evidence: Evidence,
    chosen: str,
    compared: Comparison | None,
    agreed: Agreement | None,
    figures: Path | None,
) -> bytes:
    if chosen == "csv":
        return as_csv(evidence).encode()
    fits = fit_evidence(evidence)
    if chosen == "md":
        blocks = "" if agreed is None else "\n" + "\n\n".join(agreement_blocks(agreed)) + "\n"
        return (as_markdown(evidence, fits, compared) + blocks).encode()
    if chosen == "json":
        found = as_figures(evidence, fits, compared)
        if agreed is not None:
            found["against"] = agreement_figures(agreed)
        return (json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    sections = all_sections(evidence, fits)
    if compared is not None:
        sections.append(comparison.section(compared))
    if agreed is not None:
        sections.append(suite_section.section(agreed))
    if figures is not None:
        draw(charts_by_key(sections), figures)
    return b"".join(pieces(evidence, fits, sections))


def _write_beside(evidence: Evidence, content: bytes) -> str:
    """Write the page to its own place: into its store, or, of several stores, into this folder
    under their names."""
    if len(evidence.stores) > 1:
        return _write(Path("+".join(evidence.stores) + ".html"), content)
    store: Store = evidence.store
    try:
        return store.put_report(content)
    except UserError as e:
        raise UserError(f"{e}; write the report elsewhere with -o FILE.html") from None


def _write(target: Path, content: bytes) -> str:
    """Write the report and return its path."""
    write_over(target, content, "the report")
    return str(target)
