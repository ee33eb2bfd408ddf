"""C1: n parameters fit n points. Find the onset of fitting every pure-noise label, against n."""

import pandas as pd

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number, Sentence

STATEMENT = Statement(
    "C1",
    "n parameters fit n points",
    "classical",
    "Pure-noise labels, trained to interpolation. The onset lies between the largest size at which"
    " some training label stayed wrong and the smallest at which none did. Supported if this"
    " bracket of p/n lies between 1/3 and 3 at every n, and there are at least two n. Contradicted"
    " if every label is fitted below 1/3 at every n. An onset above 3 decides nothing, since"
    " longer training might fit.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    trials = evidence.trials
    pure_noise = trials[trials["stop_rule"].eq("interpolate") & trials["sigma2"].eq(1.0)]
    findings = []
    brackets = []
    for curve, rows in pure_noise.groupby("curve", sort=False):
        onset = _onset(rows)
        if onset is None:
            continue
        n = int(rows["n"].iloc[0])
        below, first = onset
        findings.append(_sentence(str(curve), rows, below, first))
        brackets.append((n, below / n, first / n))
    if not findings:
        return UNTESTED

    if all(high < 1 / 3 for _, _, high in brackets):
        return Finding("contradicted", findings)
    # One bracket that reaches beyond the range leaves its n open, whatever other d say of it.
    near = all(low >= 1 / 3 and high <= 3 for _, low, high in brackets)
    several = len({n for n, _, _ in brackets}) >= 2
    return Finding("supported" if near and several else "undecided", findings)


def _onset(rows: pd.DataFrame) -> tuple[int, int] | None:
    """Return the largest p below the onset, and the first p at which every label of every seed is
    fitted. Return None without both."""
    right = rows["train_error"].eq(0) & rows["complete"]
    fitted = right.groupby(rows["p"]).all().sort_index()
    if not fitted.any():
        return None
    first = int(fitted.index[fitted][0])
    below = [int(p) for p in fitted.index if p < first]
    return (max(below), first) if below else None


def _sentence(curve: str, rows: pd.DataFrame, below: int, first: int) -> Sentence:
    trials = tuple(rows["trial_id"])
    n = int(rows["n"].iloc[0])

    def number(name: str, value: float, how: str, style: str = "int") -> Number:
        return Number(f"C1:{curve}:{name}", value, how, trials, style)

    how = "train_error over all seeds at each p, this curve"
    parts = {
        "kind": rows["kind"].iloc[0],
        "n": number("n", n, "column n"),
        "d": number("d", int(rows["d_ambient"].iloc[0]), "column d_ambient"),
        "first": number("first", first, f"smallest p with train_error = 0; {how}"),
        "below": number("below", below, f"largest p before it with train_error > 0; {how}"),
        "low": number("low", below / n, "that p over n", "sig3"),
        "high": number("high", first / n, "that p over n", "sig3"),
        "cap": number("cap", int(rows["epochs"].max()), "largest number of epochs"),
    }
    return Sentence(
        "{kind}, n = {n}, d = {d}: every label is fitted at p = {first}, but not at p = {below}"
        " within {cap} epochs, so the onset of p/n lies between {low} and {high}.",
        parts,
    )
