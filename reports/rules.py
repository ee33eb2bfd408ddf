"""Say which rules judge the rows, in which version, and whether the rules are older than the rows.

A verdict is worth more where its rule was fixed before the rows were measured. The rules have a
version, a date, and a hash over the text of every rule, the constants in them and the searches that
widen intervals. A test holds the hash of the present version, so a rule cannot change and keep its
version.

Every row names the rules that were current when it was finished (column `rules`, which rows of
schema 7 and older lack). A row was measured before the rules where it names others and was finished
before their date.
"""

import hashlib
import json
from typing import Any

import pandas as pd

from harness.store.rules import RULES
from reports import frontier, frontier_answer, search_gap, verdicts
from reports.claims import CHECKED
from reports.claims import collapse as collapse_claim
from reports.evidence import LEARNT, MIN_SIZES
from reports.fits import collapse, forms, plane, random_slope, rivals, shapes
from reports.fits.slope import LEVEL
from reports.law import FILTERS
from reports.numbers import Number, Sentence


def rules_hash() -> str:
    """Return the first 12 digits of the SHA-256 over the rules' text and constants."""
    words = [verdicts.COMPATIBLE, verdicts.ATTAINS, verdicts.STEEPER, verdicts.CANNOT_TELL]
    claims = {claim.STATEMENT.key: claim.STATEMENT.rule for claim in CHECKED}
    rules = [_of_slopes(), words, claims, _of_knees(), _of_frontiers(), _of_planes()]
    text = json.dumps(rules, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _of_slopes() -> dict[str, Any]:
    """Return the rules of slopes and of the collapse."""
    return {
        "order": verdicts.ORDER,
        "narrow": verdicts.NARROW,
        "level": LEVEL,
        "filters": FILTERS,
        "sizes": MIN_SIZES,
        "other filters": verdicts.RULE,
        "curves": [
            random_slope.OWN_CURVES,
            random_slope.POOLED_CURVES,
            random_slope.POOLED_FREEDOM,
        ],
        "collapse": [
            collapse.MIN_CURVES,
            collapse.LEAST_FREEDOM,
            collapse.TESTS,
            collapse_claim.POWER,
        ],
    }


def _of_knees() -> dict[str, Any]:
    """Return the rule by which a knee counts, and the grid on which it is looked for."""
    return {
        "rule": forms.RULE,
        "rivals": forms.RIVALS,
        "nested": forms.NESTED,
        "knees": shapes.KNEES,
        "sizes each side": shapes.SIZES_EACH_SIDE,
        "ratios": [len(shapes.RATIOS), float(shapes.RATIOS.max())],
    }


def _of_frontiers() -> dict[str, Any]:
    """Return the rules and the verdicts of the search for the most robust fit."""
    return {
        "rule": frontier_answer.RULE,
        "verdicts": frontier_answer.VERDICTS,
        "window": [frontier.PAST, frontier.SHARE, frontier.NEAR],
        "ratios": frontier_answer.PER_SAMPLE,
        "decade": frontier_answer.DECADE,
        "steady": frontier_answer.STEADY,
        "curves": frontier_answer.MIN_CURVES,
        "dimensions": frontier_answer.MIN_DIMENSIONS,
        "rivals": [rivals.LEVEL, rivals.MIN_CURVES, rivals.LEAST_SHARE],
        "search gap": [
            search_gap.LEVEL,
            search_gap.LEAST_SHARE,
            hashlib.sha256(search_gap.FILE.read_bytes()).hexdigest(),
        ],
    }


def _of_planes() -> dict[str, Any]:
    """Return the rule by which a measure follows parameters, tokens or their ratio."""
    return {
        "rule": plane.RULE,
        "learnt": LEARNT,
        "tolerance": plane.TOLERANCE,
        "negligible": plane.NEGLIGIBLE,
        "cells": plane.MIN_CELLS,
        "values": plane.MIN_VALUES,
        "collinear": plane.COLLINEAR,
    }


def rules_sentence(trials: pd.DataFrame) -> Sentence:
    """Say which rules judge these rows, how many rows are older than the rules, and which rules
    those rows name."""
    named = trials["rules"]
    before = trials[named.ne(RULES.name) & (trials["finished_at"] < pd.Timestamp(RULES.since))]
    how = (
        f"ok trials that do not name rules {RULES.name} and whose finished_at lies before"
        f" {RULES.since:%Y-%m-%d %H:%M} UTC"
    )
    parts = {
        "version": Number("rules:version", RULES.version, "version of the rules", (), "int"),
        "hash": RULES.hash,
        "since": f"{RULES.since:%Y-%m-%d %H:%M} UTC",
        "before": Number("rules:before", len(before), how, tuple(before["trial_id"]), "int"),
        "all": Number("rules:all", len(trials), "ok trials", tuple(trials["trial_id"]), "int"),
        "named": _names(before["rules"]),
    }
    text = "Verdicts by rules version {version} ({hash}), set on {since}. "
    if before.empty:
        first = trials["finished_at"].min()
        parts["first"] = f"{first:%Y-%m-%d %H:%M} UTC" if len(trials) else "none"
        text += "All {all} rows name these rules or are newer; the first row is of {first}."
    elif len(before) == len(trials):
        text += (
            "All {all} rows were measured before, under {named}, so their verdicts are no test"
            " announced beforehand."
        )
    else:
        text += (
            "{before} of {all} rows were measured before, under {named}; verdicts on them are no"
            " test announced beforehand."
        )
    return Sentence(text, parts)


def _names(rules: pd.Series) -> str:
    """Return the rules that rows name, in words."""
    known = sorted({f"version {name}" for name in rules.dropna()})
    if rules.isna().any():
        known.append("rules that they do not name")
    return ", ".join(known)
