"""The answer, the slopes and the claims as Markdown, for a message or a notebook.

unilaw report STORE --format md
"""

import re

import harness
from reports.answer import answer_sentences
from reports.chosen_rows import rows_sentences
from reports.claims import NOT_TESTED, check_claims
from reports.comparison import Comparison
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import MEASURES
from reports.numbers import signed
from reports.sections.comparison import changed_lines, lines_of, summary_of
from reports.sections.counts import count_trials
from reports.sections.header import page_title


def as_markdown(evidence: Evidence, fits: Fits, compared: Comparison | None = None) -> str:
    """Return the report's sentences and tables as Markdown. compared: what changed between two
    stores."""
    counts = count_trials(evidence)
    written = f"{counts['ok']} finished trials, {counts['failed']} failed"
    blocks = [
        f"# {plain(page_title(evidence))}",
        f"{written}; written by unilaw {harness.__version__}.",
        *(plain(str(sentence)) for sentence in rows_sentences(evidence)),
        *(change_blocks(compared) if compared else []),
        "## Answer",
        *(plain(str(sentence)) for sentence in answer_sentences(evidence, fits)),
        "## Slopes against the number of parameters",
        *_slopes(fits),
        "## Claims, checked against these rows",
        *_claims(evidence, fits),
    ]
    return "\n\n".join(blocks) + "\n"


def change_blocks(found: Comparison) -> list[str]:
    """Return what changed between two stores: the counts, and a line for each figure."""
    first, second = found.names
    head = f"| what | measure | {plain(first)} | {plain(second)} | change | verdict |"
    cells = changed_lines(found)
    lines = [
        f"| {plain(line.what)} | {plain(line.measure)} | {line.before} | {line.after}"
        f" | {line.change} | {line.verdict} |"
        for line in [*lines_of(found), *cells]
    ]
    blocks = [
        f"## What changed from {plain(first)} to {plain(second)}",
        plain(str(summary_of(found))),
    ]
    return [*blocks, "\n".join([head, "|---|---|---|---|---|---|", *lines])] if lines else blocks


def _slopes(fits: Fits) -> list[str]:
    """Return the table of slopes, of every kind and measure that has one, in the order of the
    measures."""
    names = {measure.column: measure.name for measure in MEASURES}
    verdicts = {
        (fit.kind, column): found.verdict
        for fit in fits.kinds
        for column, found in fit.verdicts.items()
    }
    lines = [
        "".join(
            f"| {cell} "
            for cell in (
                plain(kind),
                names[column],
                signed(slope.slope),
                f"{signed(slope.low)} to {signed(slope.high)}",
                f"{slope.cells}",
                f"{slope.curves}",
                f"{len(slope.trials)}",
                plain(verdicts.get((kind, column), "")),
            )
        )
        + "|"
        for (kind, column), slope in sorted(fits.slopes.items(), key=lambda item: item[0][0])
        if not slope.failure
    ]
    if not lines:
        return ["No curve has enough sizes for a slope."]
    head = "| kind | measure | slope | 95 % interval | cells | curves | trials | law's verdict |"
    return ["\n".join([head, "|---|---|---|---|---|---|---|---|", *lines])]


def _claims(evidence: Evidence, fits: Fits) -> list[str]:
    """Return every tested claim with its verdict and findings, and the keys of the others."""
    blocks, untested = [], []
    for claim in check_claims(evidence, fits):
        if claim.verdict == NOT_TESTED:
            untested.append(claim.statement.key)
            continue
        head = (
            f"**{claim.statement.key}, {claim.verdict}**: {plain(claim.statement.statement)}"
            f" ({plain(claim.statement.source)})"
        )
        findings = [f"- {plain(str(finding))}" for finding in claim.findings]
        blocks.append("\n".join([head, "", *findings]) if findings else head)
    if untested:
        blocks.append(f"Not tested by these rows: {', '.join(untested)}.")
    return blocks


def plain(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))
