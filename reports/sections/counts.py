"""Count the trials, those that test the law, and what they cost."""

import pandas as pd

from harness.store.records import still_asked
from reports.evidence import Evidence
from reports.numbers import Number


def count_trials(evidence: Evidence) -> dict[str, Number]:
    """Return by name the counts that several sections state."""
    trials = evidence.all_trials
    plain = evidence.trials
    asked = still_asked(evidence.sweeps)
    with_rows = {*trials["trial_id"], *evidence.failures["trial_id"], *evidence.replaced}
    not_run = asked - with_rows - evidence.left_out
    below = plain["tests_stability"]

    return {
        "ok": _count("ok", trials, "trials whose latest row is ok"),
        "plain": _count(
            "plain",
            plain,
            "ok trials that are no search for the frontier and learned no input space",
        ),
        "failed": _count("failed", evidence.failures, "trials without an ok row"),
        "replaced": Number(
            "count:replaced",
            len(evidence.replaced),
            "failed trials with a newer row of the same task, config_json and seed, and those that"
            " their sweep no longer asks for",
            tuple(sorted(evidence.replaced)),
            "int",
        ),
        "left": _number(
            "left", len(not_run), "trials that a recorded sweep still asks for and that have no row"
        ),
        "attempts": _number("attempts", evidence.attempts, "all rows"),
        "below": _count(
            "below", plain[below], "ok trials that meet the stability form's noise condition"
        ),
        "fitted": _count(
            "fitted", plain[below & plain["in_fit"]], "of those, the ones that enter a fit"
        ),
        "large_n": _count(
            "large_n",
            trials[trials["law_n_large_enough"].eq(True)],
            "trials whose law_n_large_enough is true",
        ),
        "unplaced": _count(
            "unplaced",
            plain[plain["x_law"].isna()],
            "ok trials whose n is null, so that p/(n·d) is not known",
        ),
        "p_min": _number("p_min", float(trials["p"].min()), "smallest p", trials, "sig3"),
        "p_max": _number("p_max", float(trials["p"].max()), "largest p", trials, "sig3"),
        "flops": _number("flops", float(trials["flops"].sum()), "sum of flops", trials, "sig3"),
        "wall": _number("wall", float(trials["wall_s"].sum()), "sum of wall_s", trials),
        "measure_share": _number(
            "measure_share",
            _measure_share(trials),
            "sum of measure_s over sum of wall_s",
            trials,
            "percent",
        ),
    }


def _count(key: str, rows: pd.DataFrame, how: str) -> Number:
    return _number(key, len(rows), how, rows)


def _number(
    key: str, value: float, how: str, rows: pd.DataFrame | None = None, style: str = "int"
) -> Number:
    trials = () if rows is None else tuple(rows["trial_id"])
    return Number(f"count:{key}", value, how, trials, style)


def _measure_share(trials: pd.DataFrame) -> float:
    """Return the share of the trials' time that went into measuring; 0 without any time."""
    total = trials["wall_s"].sum()
    return float(trials["measure_s"].sum() / total) if total > 0 else 0.0
