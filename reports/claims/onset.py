"""C1: n parameters fit n points. The onset of fitting every pure-noise label, against n."""

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number, Sentence

STATEMENT = Statement(
    "C1",
    "n parameters fit n points",
    "classical",
    "Pure-noise labels, trained to interpolation: the onset lies between the largest size at which"
    " some training label stayed wrong and the smallest at which none did. Supported if that"
    " bracket of p/n lies within 1/3 to 3 at two values of n or more, contradicted if every label"
    " is fitted below 1/3 at every n. An onset above 3 decides nothing: a longer training might"
    " fit.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    t = evidence.trials
    pure = t[t["stop_rule"].eq("interpolate") & t["sigma2"].eq(1.0)]
    findings, brackets = [], []
    for curve, rows in pure.groupby("curve", sort=False):
        fitted = (
            (rows["train_error"].eq(0) & rows["complete"]).groupby(rows["p"]).all().sort_index()
        )
        if not fitted.any():
            continue
        n = int(rows["n"].iloc[0])
        first = int(fitted.index[fitted][0])
        below = [int(p) for p in fitted.index if p < first]
        if not below:
            continue
        key, ids = f"C1:{curve}", tuple(rows["trial_id"])
        how = "train_error over all seeds at each p, this curve"
        parts = {
            "kind": rows["kind"].iloc[0],
            "n": Number(f"{key}:n", n, "column n", ids, "int"),
            "d": Number(f"{key}:d", int(rows["d_ambient"].iloc[0]), "column d_ambient", ids, "int"),
            "first": Number(
                f"{key}:first", first, f"smallest p with train_error = 0; {how}", ids, "int"
            ),
            "below": Number(
                f"{key}:below",
                max(below),
                f"largest p before it with train_error > 0; {how}",
                ids,
                "int",
            ),
            "low": Number(f"{key}:low", max(below) / n, "that p over n", ids),
            "high": Number(f"{key}:high", first / n, "that p over n", ids),
            "cap": Number(
                f"{key}:cap", int(rows["epochs"].max()), "largest number of epochs", ids, "int"
            ),
        }
        text = (
            "{kind}, n = {n}, d = {d}: every label fitted at p = {first}, not at {below} in up to"
            " {cap} epochs, "
        )
        text += "so p/n between {low} and {high}."
        findings.append(Sentence(text, parts))
        brackets.append((n, max(below) / n, first / n))
    if not findings:
        return UNTESTED
    near = {n for n, low, high in brackets if low >= 1 / 3 and high <= 3}
    if all(high < 1 / 3 for _, _, high in brackets):
        return Finding("contradicted", findings)
    return Finding(
        "supported" if len(near) >= 2 and near == {n for n, _, _ in brackets} else "undecided",
        findings,
    )
