"""The answer in plain sentences, for every format in which a report leaves."""

from reports.evidence import Evidence
from reports.frontier import radii
from reports.frontier_answer import fit_frontier
from reports.law import Fits
from reports.numbers import Sentence
from reports.sections.frontier_sentences import answer_of
from reports.sections.headline import headline_of


def answer_sentences(evidence: Evidence, fits: Fits) -> list[Sentence]:
    """Return the answer of plain training, and then that of the frontier, problem by problem."""
    frontier = [answer_of(fit) for fit in fit_frontier(radii(evidence))]
    return [headline_of(fits.kinds, evidence.trials), *frontier]
