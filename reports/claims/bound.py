"""C2a: fitting smoothly takes p ≈ n·d. Does anything measured lie above the law's ceiling?"""

import pandas as pd

from reports.ceilings import NATS, cells_beside_ceilings
from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number, Sentence

STATEMENT = Statement(
    "C2a",
    "Fitting them smoothly takes p ≈ n·d: with fewer parameters stability stays below the law's"
    " ceiling",
    "Bubeck & Sellke 2021 (arXiv 2105.12806); for classes von Berg et al. 2026 (arXiv 2603.02806)",
    "A one-sided bound, so no slope, exponent or collapse of trained models contradicts it: only a"
    " figure above the ceiling would. The ceiling on stability, with its constants, is set beside"
    " every cell below the noise. It binds where it lies below the largest distance measured, one"
    " data unit, at one nat a parameter. Contradicted if on data whose isoperimetry is proved a"
    " certified stability lies above the ceiling at 22.2 nats, all that 32 bits hold. Supported if"
    " the ceiling binds in a cell and no stability found lies above it there. Undecided otherwise:"
    " where it binds nowhere, no model could have contradicted it.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    cells = cells_beside_ceilings(evidence.trials)
    if cells.empty:
        return UNTESTED
    sentences = [_sentence(str(kind), own) for kind, own in cells.groupby("kind")]

    binding = cells[cells["binds"]]
    if (cells["proved"] & cells["certified"].gt(cells["high"])).any():
        return Finding("contradicted", sentences)
    below = binding["stability"].le(binding["low"]).all()
    return Finding("supported" if len(binding) and below else "undecided", sentences)


def _sentence(kind: str, cells: pd.DataFrame) -> Sentence:
    """State the ceiling over what was measured, over the cells of one kind."""
    trials = tuple(trial for of_cell in cells["trial_id"] for trial in of_cell)

    def number(name: str, value: float, how: str, style: str = "sig3") -> Number:
        return Number(f"C2a:{kind}:{name}", value, how, trials, style)

    how = "ceiling on S over the mean stability_attack_mean of a cell, over the cells of this kind"
    parts = {
        "kind": kind,
        "cells": number("cells", len(cells), "number of cells below the noise", "int"),
        "binding": number(
            "binding", int(cells["binds"].sum()), "cells whose ceiling lies below the cap", "int"
        ),
        "least": number(
            "least", float((cells["low"] / cells["stability"]).min()), f"smallest {how}, 1 nat"
        ),
        "most": number(
            "most", float((cells["high"] / cells["stability"]).max()), f"largest {how}, 22.2 nats"
        ),
        "nats": number("nats", NATS[1], "ln 2 times 32 bits"),
    }
    text = (
        "{kind}: the ceiling binds in {binding} of {cells} cells; it is {least} to {most} times the"
        " stability found (one to {nats} nats a parameter)"
    )
    if not cells["c_known"].all():
        text += "; these rows lack c, so the sphere's c stands for it and no cell counts as binding"
    return Sentence(text + ".", parts)
