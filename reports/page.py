"""One HTML file that makes no network request: evidence → fits → claims → figures → page.

unilaw report STORE
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pyarrow as pa
from markupsafe import Markup
from plotly.offline import get_plotlyjs

import harness
from harness.errors import UserError
from harness.store.schema import arrow_schema
from reports.charts.drawing import said_of_trials
from reports.charts.figures import all_figures
from reports.claims import check_claims
from reports.evidence import Evidence, read_evidence, records
from reports.fit_numbers import collapse_numbers, slope_numbers
from reports.law import KindCollapse, KindFit, fit_all
from reports.measures import LOWER, STABILITY
from reports.numbers import Number, Sentence
from reports.sections.attack_checks import check_attacks
from reports.sections.changed_tokens import changed_tokens
from reports.sections.data_sets import data_sets
from reports.sections.ladder import ladders
from reports.sections.pictures import shown_pictures
from reports.sections.published_models import published_models

TABLE_COLUMNS = (
    "trial_id",
    "kind",
    "seed",
    "n",
    "tokens_distinct",
    "d_ambient",
    "p",
    "params_per_token",
    "x_law",
    "epochs",
    "stop_reason",
    "below_noise",
    "train_loss",
    "train_error",
    "test_accuracy",
    "test_accuracy_se",
    "bits_per_byte",
    "ece",
    STABILITY,
    "stability_attack_censored",
    "stability_first_order_mean",
    "stability_certified_mean",
    "robust_linf",
    "robust_l2",
    "lip_lower_grad",
    "lip_lower_pairs",
    "lip_mean_jacobian",
    "lip_upper_product",
    "flops",
    "wall_s",
)
INTEGERS = {f.name for f in arrow_schema() if pa.types.is_integer(f.type)}


def write_report(where: str | Path, target: Path | None = None) -> str:
    """Read the store, fit, and write the page to `target` in one rename, or as _report.html into
    the store; gives where it is.

    Raises UserError when there is no store, or the target cannot be written.
    """
    evidence = read_evidence(where)
    html = render(evidence)
    if target is None:
        return evidence.store.put_report(html)
    if target.is_dir():
        raise UserError(f"the report '{target}' is a folder; name a file")
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(html, encoding="utf-8")
        temporary.replace(target)
    except OSError as e:
        raise UserError(f"the report '{target}' cannot be written: {e.strerror}") from None
    return str(target)


def render(evidence: Evidence) -> str:
    """The page's HTML."""
    fits = fit_all(evidence.trials)
    claims = check_claims(evidence, fits)
    collapses = [_collapse_row(c) for c in fits.collapses]
    laws = [_law_row(f) for f in fits.kinds]
    counts, headline = _counts(evidence), headline_of(fits.kinds)
    attacks, pictures, data = check_attacks(evidence), shown_pictures(evidence), data_sets(evidence)
    published = published_models(evidence)
    steps, tokens = ladders(evidence), changed_tokens(evidence)
    drawn = (
        all_figures(evidence, fits)
        | published.figures
        | {ladder.key: ladder.figure for ladder in steps}
    )
    drawn |= tokens.figures if tokens else {}
    figures = {key: _json(json.loads(str(figure.to_json()))) for key, figure in drawn.items()}
    ledger = [
        *counts.values(),
        *headline.numbers(),
        *(
            n
            for law in laws
            for part in ("stability", "lipschitz")
            for n in law[part]["numbers"].values()
        ),
        *(n for c in collapses for n in c["numbers"].values()),
        *(n for claim in claims for finding in claim.findings for n in finding.numbers()),
        *attacks.numbers(),
        *published.numbers(),
        *(n for ladder in steps for n in ladder.numbers()),
        *(tokens.numbers() if tokens else ()),
        *(n for shown in (*pictures, *data) for n in shown.numbers()),
    ]
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        title=_title(evidence),
        headline=headline,
        sweeps=evidence.sweeps,
        counts=counts,
        laws=laws,
        collapses=collapses,
        claims=claims,
        attacks=attacks,
        pictures=pictures,
        data_sets=data,
        published=published,
        ladders=steps,
        tokens=tokens,
        gradient_kinds=_kinds_without_pairs(evidence.trials),
        figures=figures,
        said=_json(said_of_trials(evidence)),
        lipschitz_charts=[key for key in figures if key.startswith("lip")],
        failures=records(evidence.failures),
        problems=evidence.problems,
        trials=_trial_table(evidence.trials),
        table_columns=TABLE_COLUMNS,
        provenance=_provenance(evidence),
        runs=evidence.runs,
        ledger=_json([n.as_json() for n in {n.key: n for n in ledger}.values()]),
        plotly=Markup(get_plotlyjs()),
        version=harness.__version__,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _title(evidence: Evidence) -> str:
    names = sorted({s.name for s in evidence.sweeps}) or [evidence.store.name]
    return ", ".join(names)


def headline_of(fits: list[KindFit]) -> Sentence:
    """The answer, family by family: how stability grew below the noise, beside what the law
    allows."""
    judged = [f for f in fits if f.judged]
    if not judged:
        return Sentence(
            "No curve in this store is long enough below a known noise level for a slope, so the"
            " law's order is not tested here."
        )
    families: dict[str, list[KindFit]] = {}
    for f in judged:
        families.setdefault(f.family, []).append(f)
    parts: dict[str, Any] = {}
    said = []
    for i, (family, mine) in enumerate(families.items()):
        ids = tuple(t for f in mine for t in f.stability.trials)
        how = f"fitted stability slopes of the kinds of family {family} below the noise"
        slopes = [f.stability.slope for f in mine]
        parts |= {
            f"family{i}": family,
            f"kinds{i}": Number(
                f"headline:{family}:kinds", len(mine), f"number of {how}", ids, "int"
            ),
            f"low{i}": Number(
                f"headline:{family}:low", min(slopes), f"smallest of the {how}", ids, "signed"
            ),
            f"high{i}": Number(
                f"headline:{family}:high", max(slopes), f"largest of the {how}", ids, "signed"
            ),
            f"verdicts{i}": _verdicts(mine),
        }
        grown = f"{{low{i}}}, {{kinds{i}}} kind"
        if len(mine) > 1:
            spread = (
                f"{{low{i}}} to {{high{i}}}"
                if str(parts[f"low{i}"]) != str(parts[f"high{i}"])
                else f"{{low{i}}}"
            )
            grown = f"{spread} over {{kinds{i}}} kinds"
        said.append(f"{{family{i}}}: {grown}, {{verdicts{i}}}")
    text = (
        "Below the noise, the slope of stability in p, of which the law allows up to +1/2, is: "
        + "; ".join(said)
        + "."
    )
    left_out = sorted({f.family for f in fits} - set(families))
    if left_out:
        parts["left_out"] = ", ".join(left_out)
        text += " Not judged, for want of a known noise level that was met or of sizes: {left_out}."
    return Sentence(text, parts)


def _verdicts(fits: list[KindFit]) -> str:
    """The verdicts of a family's kinds; each names its kinds where there are several verdicts."""
    by_verdict: dict[str, list[str]] = {}
    for f in fits:
        by_verdict.setdefault(f.verdict, []).append(f.kind.removeprefix(f"{f.family}, "))
    if len(by_verdict) == 1:
        return next(iter(by_verdict))
    return ", ".join(f"{verdict} ({'; '.join(kinds)})" for verdict, kinds in by_verdict.items())


def _counts(evidence: Evidence) -> dict[str, Number]:
    """The headline numbers."""
    t = evidence.trials
    asked = {i for s in evidence.sweeps for i in s.trials}
    left = asked - set(t["trial_id"]) - set(evidence.failures["trial_id"])
    unplaced = t[t["x_law"].isna()]
    tests, fitted, large = (
        t[t["tests_stability"]],
        t[t["tests_stability"] & t["in_fit"]],
        t[t["law_n_large_enough"].eq(True)],
    )

    def number(
        key: str, value: float, how: str, rows: pd.DataFrame | None = None, style: str = "int"
    ) -> Number:
        return Number(
            f"count:{key}", value, how, tuple(rows["trial_id"]) if rows is not None else (), style
        )

    return {
        "ok": number("ok", len(t), "trials whose latest row is ok", t),
        "failed": number(
            "failed", len(evidence.failures), "trials without an ok row", evidence.failures
        ),
        "left": number(
            "left", len(left), "trials that a recorded sweep asked for and that have no row"
        ),
        "attempts": number("attempts", evidence.attempts, "all rows"),
        "below": number(
            "below", len(tests), "ok trials that meet the stability form's noise condition", tests
        ),
        "fitted": number("fitted", len(fitted), "of those, the ones that enter a fit", fitted),
        "large_n": number("large_n", len(large), "trials whose law_n_large_enough is true", large),
        "unplaced": number(
            "unplaced",
            len(unplaced),
            "ok trials whose n is null, so that p/(n·d) is not known",
            unplaced,
        ),
        "p_min": number(
            "p_min", float(t["p"].min()) if len(t) else float("nan"), "smallest p", t, "sig3"
        ),
        "p_max": number(
            "p_max", float(t["p"].max()) if len(t) else float("nan"), "largest p", t, "sig3"
        ),
        "flops": number("flops", float(t["flops"].sum()), "sum of flops", t, "sig3"),
        "wall": number("wall", float(t["wall_s"].sum()), "sum of wall_s", t, "int"),
        "measure_share": number(
            "measure_share", _share(t), "sum of measure_s over sum of wall_s", t, "percent"
        ),
    }


def _share(t: pd.DataFrame) -> float:
    return float(t["measure_s"].sum() / t["wall_s"].sum()) if t["wall_s"].sum() > 0 else 0.0


def _law_row(fit: KindFit) -> dict[str, Any]:
    """A kind's line in the law table."""

    def cell(slope: Any, column: str, verdict: str) -> dict[str, Any]:
        if slope is None or slope.failure:
            return {
                "said": Sentence("no slope: {why}", {"why": slope.failure}) if slope else None,
                "verdict": verdict,
                "numbers": {},
            }
        numbers = slope_numbers(f"law:{fit.kind}:{column}", slope, column)
        said = Sentence("{b} ({low} to {high})", {k: numbers[k] for k in ("b", "low", "high")})
        several = (
            "{curves} curves, alone {smallest} to {largest}"
            if slope.curves > 1
            else "{curves} curve"
        )
        text = "{cells} cells on " + several + "; held-out factor {held_out}"
        if slope.dropped:
            text += "; {dropped} trials without a positive value left out"
        basis = Sentence(
            text,
            {
                k: numbers[k]
                for k in ("cells", "curves", "smallest", "largest", "held_out", "dropped")
            },
        )
        return {"said": said, "basis": basis, "verdict": verdict, "numbers": numbers}

    return {
        "kind": fit.kind,
        "noisy": fit.noisy,
        "stability": cell(fit.stability, STABILITY, fit.verdict),
        "lipschitz": cell(fit.lipschitz, LOWER, fit.lipschitz_verdict),
    }


def _collapse_row(found: KindCollapse) -> dict[str, Any]:
    """A line in the collapse table."""
    return {
        "kind": found.kind,
        "failure": found.collapse.failure,
        "numbers": collapse_numbers(found),
        "forms": list(found.collapse.errors),
    }


def _kinds_without_pairs(trials: pd.DataFrame) -> list[str]:
    """±1 kinds whose rows know no steepest pair, so that the largest gradient norm is drawn."""
    return sorted(
        trials.loc[
            trials["lip_lower_from"].eq("lip_lower_grad") & trials["outputs"].eq(1), "kind"
        ].unique()
    )


def _trial_table(trials: pd.DataFrame) -> list[list[tuple[str, Any, str]]]:
    """Rows of (column, value, text) cells."""
    return [
        [(c, row[c], _text(row[c], c in INTEGERS)) for c in TABLE_COLUMNS]
        for row in records(trials)
    ]


def _text(value: Any, whole: bool) -> str:
    """A cell's text. whole: its column holds integers, which pandas widens where a row has none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:,.0f}" if whole else f"{value:.4g}"
    return (
        ""
        if value is None or value is pd.NA
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def _provenance(evidence: Evidence) -> list[tuple[str, list[str]]]:
    """Distinct values of the provenance columns over all trials, failures included."""
    rows = (
        pd.concat([evidence.trials, evidence.failures])
        if len(evidence.failures)
        else evidence.trials
    )
    columns = {
        "code commit": "commit",
        "uncommitted changes": "dirty",
        "unilaw": "unilaw_version",
        "Python": "python_version",
        "torch": "torch_version",
        "Ray (none: inline)": "ray_version",
        "processor": "cpu",
        "GPU": "gpu",
        "torch threads": "threads",
        "instruments": "measures_version",
        "measured again by (none: by the trial itself)": "measured_commit",
        "environment": "environment_json",
        "row schema": "schema_version",
        "data (SHA-256 of tensors)": "data_hash",
    }
    found = []
    for name, column in columns.items():
        values = (
            ["none" if pd.isna(v) else str(v) for v in rows[column].unique()] if len(rows) else []
        )
        shown = sorted(v[:16] if column == "data_hash" else v for v in values)
        found.append(
            (
                name,
                shown[:8] + ([f"and {len(shown) - 8} more, in the rows"] if len(shown) > 8 else []),
            )
        )
    together = evidence.trials["stack_size"].dropna()
    if len(together):
        found.append(
            (
                "trained as one program with others",
                [
                    f"{(together > 1).sum()} of {len(together)} trials, at most {together.max():g}"
                    " at a time"
                ],
            )
        )
    if len(rows):
        found.append(
            (
                "rows written",
                [
                    f"{rows['finished_at'].min():%Y-%m-%d %H:%M} to"
                    f" {rows['finished_at'].max():%Y-%m-%d %H:%M} UTC"
                ],
            )
        )
    return found


def _json(value: Any) -> Markup:
    """JSON that can stand inside a <script> element: no character there can end it."""
    text = json.dumps(value, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
