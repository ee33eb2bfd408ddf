"""Rows of a compute-optimal ladder whose surface is known, and rows of other trials."""

import numpy as np

from tests.reports.language_rows import language_row
from tests.reports.stores import row

TRUTH = {"E": 1.2, "A": 30.0, "B": 200.0, "α": 0.35, "β": 0.4}
WIDTHS = (16, 24, 32, 48, 64, 96, 128)


def made(budgets=(1e11, 4e11, 1.6e12, 6.4e12), seeds=(0, 1), spread=0.003, **changes):
    """Return rows of an isoFLOP ladder in N less its embeddings, with noise from a fixed seed."""
    rng, rows = np.random.default_rng(1), []
    for compute in budgets:
        for width in WIDTHS:
            p, n = language_row(width, 64, 1.0)["p"], 24 * width**2 + 10 * width
            tokens = round(compute / 6 / p / 64) * 64
            for seed in seeds:
                loss = (
                    TRUTH["E"] + TRUTH["A"] * n ** -TRUTH["α"] + TRUTH["B"] * tokens ** -TRUTH["β"]
                )
                rows.append(
                    language_row(
                        width,
                        tokens,
                        loss * float(np.exp(spread * rng.standard_normal())),
                        seed,
                        **changes,
                    )
                )
    return rows


OTHERS = [row(p) for p in (100, 200, 400)] + [language_row(16, 6400, 2.0, task="text")]
