"""Say what these rows did not test, on the first screen: sizes, searches, noise, the law's own
assumptions."""

from reports.answer import NOT_JUDGED, TOO_FEW, data_name, outcome_of
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number, Sentence


def untested(evidence: Evidence, fits: Fits) -> list[Sentence]:
    """Return what the rows leave untested, one phrase each, without a full stop, the gravest
    first."""
    trials = evidence.all_trials
    if trials.empty:
        return []
    found = [_larger(evidence)]
    if evidence.frontier.empty:
        found.append(Sentence("the most robust model of each size (no trial searched for it)"))

    silent = {
        data_name(fit.family).name for fit in fits.kinds if outcome_of(fit) in (NOT_JUDGED, TOO_FEW)
    }
    silent -= {data_name(fit.family).name for fit in fits.kinds if fit.judged}
    if silent:
        found.append(Sentence("the law on {names}", {"names": ", ".join(sorted(silent))}))

    if trials["isoperimetry"].ne("proved").any():
        found.append(Sentence("the law's assumption on the data, away from the sphere"))
    if trials["epsilon"].gt(0).any():
        found.append(Sentence("noise that real labels bring along (here noise is injected)"))
    return [sentence for sentence in found if sentence.template]


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
        phrases.append(f"{{name{i}}} above {{p{i}}} parameters")
    return Sentence(", ".join(phrases), parts)
