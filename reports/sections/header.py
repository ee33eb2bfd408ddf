"""The head of the page: title, counts, headline, and whatever is wrong with the store."""

from datetime import UTC, datetime

import harness
from reports.evidence import Evidence
from reports.frontier import radii
from reports.frontier_answer import fit_frontier
from reports.law import Fits
from reports.rules import rules_sentence
from reports.sections.attack_checks import check_attacks
from reports.sections.counts import count_trials
from reports.sections.frontier_sentences import answer_of
from reports.sections.headline import headline_of
from reports.sections.section import Section, fill


def section(evidence: Evidence, fits: Fits) -> Section:
    counts = count_trials(evidence)
    rules = rules_sentence(evidence.all_trials)
    headline = headline_of(fits.kinds, evidence.trials)
    frontier = [answer_of(fit) for fit in fit_frontier(radii(evidence))]
    attacks = check_attacks(evidence)

    html = fill(
        "header.html.j2",
        title=page_title(evidence),
        counts=counts,
        frontier=frontier,
        headline=headline,
        attacks=attacks,
        rules=rules,
        problems=evidence.problems,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=harness.__version__,
    )
    numbers = [*counts.values(), *headline.numbers(), *attacks.numbers(), *rules.numbers()]
    numbers += [number for answer in frontier for number in answer.numbers()]
    return Section("header", "", html, numbers)


def page_title(evidence: Evidence) -> str:
    """Return the names of the store's sweeps, or the store's own name when there is none."""
    names = sorted({sweep.name for sweep in evidence.sweeps}) or [evidence.store.name]
    return ", ".join(names)
