"""Say what these rows did not test, on the first screen: the law itself, data sets of the theorem's
size, larger models, searches, noise, the law's assumptions."""

from decimal import ROUND_DOWN, Context

from reports.ceilings import cells_beside_ceilings
from reports.data_names import data_name
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number, Sentence
from reports.outcomes import NOT_JUDGED, TOO_FEW, outcome_of
from reports.sections.counts import count_trials

ROUNDED_DOWN = Context(prec=2, rounding=ROUND_DOWN)


def untested(evidence: Evidence, fits: Fits) -> list[Sentence]:
    """Return what the rows leave untested, one phrase each, without a full stop, the gravest
    first."""
    trials = evidence.all_trials
    if trials.empty:
        return []
    found = [_the_law(evidence), _as_the_theorem_asks(evidence), _larger(evidence)]
    if evidence.frontier.empty:
        found.append(Sentence("the most robust model of each size (no trial searched for it)"))

    silent = {
        data_name(fit.family).name for fit in fits.kinds if outcome_of(fit) in (NOT_JUDGED, TOO_FEW)
    }
    silent -= {data_name(fit.family).name for fit in fits.kinds if fit.judged}
    if silent:
        found.append(
            Sentence(
                "how plain training on {names} compares with the law",
                {"names": ", ".join(sorted(silent))},
            )
        )

    assumed = trials.loc[trials["isoperimetry"].eq("assumed"), "family"].unique()
    if len(assumed):
        names = sorted({data_name(str(family)).name for family in assumed})
        found.append(
            Sentence(
                "whether the data of {names} meet the law's assumption (isoperimetry, proved for"
                " the sphere alone)",
                {"names": ", ".join(names)},
            )
        )
    if trials["epsilon"].gt(0).any():
        found.append(Sentence("the noise of real labels (here noise is injected)"))
    return [sentence for sentence in found if sentence.template]


def _the_law(evidence: Evidence) -> Sentence:
    """Say that no model could have broken the law, where its ceiling is known for every cell, and
    lies above every stability found and beyond what S is measured up to."""
    cells = cells_beside_ceilings(evidence.trials)
    out_of_reach = cells["c_known"] & cells["low"].ge(cells["cap"])
    cells = cells[cells["stability"].gt(0)]
    over = cells["low"] / cells["stability"]
    if cells.empty or not out_of_reach.all() or not over.min() > 1:
        return Sentence("")
    used = tuple(trial for of_cell in cells["trial_id"] for trial in of_cell)
    how = "least ceiling on S at 1 nat a parameter over the stability found, cells below the noise"
    times = float(ROUNDED_DOWN.create_decimal_from_float(float(over.min())))
    how += ", rounded down to two digits"
    return Sentence(
        "whether the law holds: at one nat (1.44 bits) a parameter its ceiling is at least {times}"
        " times every stability measured, so no model of these sizes could have broken it",
        {"times": Number("answer:ceiling over S", times, how, used)},
    )


def _as_the_theorem_asks(evidence: Evidence) -> Sentence:
    """Say how few data sets are as large as the theorem's condition on n asks."""
    counts = count_trials(evidence)
    if counts["large_n"].value == counts["ok"].value:
        return Sentence("")
    parts = {"large": counts["large_n"], "all": counts["ok"]}
    return Sentence(
        "data sets as large as the theorem asks for ({large} of {all} trials have one)", parts
    )


def _larger(evidence: Evidence) -> Sentence:
    """Return up to which size each kind of data was trained."""
    rows = evidence.all_trials
    rows = rows[rows["stop_reason"].ne("not_trained")]
    parts = {}
    phrases = []
    names = rows["family"].map(lambda family: data_name(str(family)).name)
    for i, (name, own) in enumerate(rows.groupby(names)):
        trials = tuple(own["trial_id"])
        how = "largest p of a trained model of the data"
        parts[f"name{i}"] = str(name)
        parts[f"p{i}"] = Number(
            f"answer:{name}:largest", float(own["p"].max()), how, trials, "size"
        )
        phrases.append(f"{{p{i}}} ({{name{i}}})")
    return Sentence("more parameters than " + ", ".join(phrases) if phrases else "", parts)
