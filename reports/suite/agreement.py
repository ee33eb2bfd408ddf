"""Say whether a store agrees with a suite's reference rows, within noise.

    found = agreement(evidence, suite)

Compared are the slopes of the measures that a law holds for, over the curves that the store and the
reference share, the constants of the frontier, and the means of the cells that both have. The
noise, and the chance of a false alarm, are those of `reports.comparison`: one store in twenty
differs somewhere from one reference by noise alone, more from one of several. Conditions on the
store's rows hold for the reference's, too.
"""

from typing import NamedTuple

import pandas as pd

from harness.errors import UserError
from reports.comparison import Comparison, compare
from reports.evidence import Evidence, read_evidence
from reports.law import Fits, fit_all
from reports.suite.suite import Reference, Suite, text_hash


class Agreed(NamedTuple):
    """A store beside one reference. `versions`: of the instruments, in the reference and in the
    store. `rules`: those of their time, as the reference rows name them."""

    reference: Reference
    compared: Comparison
    versions: tuple[str, str]
    rules: str


class Agreement(NamedTuple):
    """A store beside the references of a suite that it has curves or cells in common with.
    `frozen`: the sweeps of the suite that were run into the store, unchanged."""

    suite: Suite
    store: str
    agreed: list[Agreed]
    frozen: list[str]


def agreement(evidence: Evidence, suite: Suite) -> Agreement:
    """Compare a store with every reference of the suite. Raise UserError where they have nothing in
    common."""
    name = " + ".join(evidence.stores)
    fits = fit_all(evidence.trials)
    agreed = []
    for reference in suite.references:
        try:
            rows = read_evidence(reference.folder, where=evidence.where)
        except UserError:
            if not evidence.where:
                raise
            continue  # none of its rows fits the conditions
        own = fit_all(rows.trials)
        of_reference, of_store = in_common(own, fits), in_common(fits, own)
        title = f"{suite.name} on {reference.hardware}"
        found = compare(rows, of_reference, evidence, of_store, (title, name))
        if found.slopes or found.constants or found.cells or found.same:
            versions = (_versions(rows.all_trials), _versions(evidence.all_trials))
            agreed.append(Agreed(reference, found, versions, _rules(rows.all_trials)))

    if not agreed:
        fitting = " that fit --where" if evidence.where else ""
        raise UserError(
            f"--against {suite.name}: the store has no curve and no cell in common with the suite's"
            f" reference rows{fitting}; `unilaw report STORE {suite.name}` draws both on one page,"
            f" and `unilaw run {next(iter(suite.sweeps))}` runs the suite's cells"
        )
    return Agreement(suite, name, agreed, _frozen(evidence, suite))


def in_common(fits: Fits, others: Fits) -> Fits:
    """Return the fits with those slopes alone that share a curve with the same slope of `others`.
    Slopes of other curves differ by more than noise, and say nothing about agreement."""
    shared = {}
    for key, slope in fits.filtered.items():
        other = others.filtered.get(key)
        if other is not None and slope.of_curves.keys() & other.of_curves.keys():
            shared[key] = slope
    return fits._replace(filtered=shared)


def _versions(trials: pd.DataFrame) -> str:
    """Return the versions of the instruments that measured these rows."""
    return ", ".join(str(int(version)) for version in sorted(trials["measures_version"].unique()))


def _rules(trials: pd.DataFrame) -> str:
    named = sorted(trials["rules"].dropna().unique())
    return ", ".join(named) or "none: the rows are older than the rules"


def _frozen(evidence: Evidence, suite: Suite) -> list[str]:
    """Return the suite's sweeps whose text, byte for byte, was run into the store."""
    run = {text_hash(sweep.text.encode()) for sweep in evidence.sweeps}
    return [name for name, known in suite.sweeps.items() if known in run]
