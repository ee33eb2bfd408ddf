"""Draw stores for every design and truth, and count the report's answers, on several processes.

    counts = simulate(plans(designs, draws=100, seed=1), cpus=2)

A draw depends on its seed, design, truth and number alone, so neither `--only` nor the number of
processes changes a count.
"""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.law import OF_FIT
from reports.selftest.designs import DESIGNS, Design
from reports.selftest.judge import answers
from reports.selftest.planting import layout_of, plant
from reports.selftest.rows import store_of
from reports.selftest.truths import TRUTHS

TOGETHER = 25
"""Draws of one plan: they share the store on disk, and so which trials of a rough store failed."""

READ = (
    *OF_FIT,
    "bayes_error",
    "epsilon",
    "eta",
    "family",
    "seed",
    "settings_json",
    "sigma2",
    "stop_reason",
    "task",
    "tests_lipschitz",
    "tests_stability",
)
"""The columns that are read of a simulated store's trials besides those that are planted. A rule
that reads another one fails here with its name."""


class Plan(NamedTuple):
    """Some draws of one design and truth, by their positions in DESIGNS and TRUTHS."""

    design: int
    truth: int
    rough: bool
    first: int
    draws: int
    seed: int


class Counted(NamedTuple):
    """What is counted: an answer in a design, even or rough, with a planted truth."""

    design: str
    rough: bool
    truth: str
    question: str
    subject: str
    outcome: str


def plans(designs: Iterable[Design], draws: int, seed: int) -> list[Plan]:
    """Return the plans for these designs with every truth, even and rough, shortest waits last."""
    found = []
    for design in designs:
        for truth in range(len(TRUTHS)):
            for rough in (False, True):
                for first in range(0, draws, TOGETHER):
                    count = min(TOGETHER, draws - first)
                    place = DESIGNS.index(design)
                    found.append(Plan(place, truth, rough, first, count, seed))
    return found


def simulate(
    planned: list[Plan], cpus: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> Counter[Counted]:
    """Carry out the plans and return the counts. progress: called with how many are done, of how
    many. One process is this one."""
    counts: Counter[Counted] = Counter()
    if cpus == 1:
        for done, plan in enumerate(planned, 1):
            counts += carry_out(plan)
            progress(done, len(planned))
        return counts

    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cpus, mp_context=fresh) as pool:
        running = [pool.submit(carry_out, plan) for plan in planned]
        for done, finished in enumerate(as_completed(running), 1):
            counts += finished.result()
            progress(done, len(planned))
    return counts


def carry_out(plan: Plan) -> Counter[Counted]:
    """Draw the plan's stores, take each through the report, and count the answers."""
    design = DESIGNS[plan.design]
    truth = TRUTHS[plan.truth]
    place = (plan.seed, plan.design, plan.truth, int(plan.rough))
    evidence = store_of(design, np.random.default_rng([*place, plan.first]), plan.rough)

    trials = _light(evidence.trials)
    layout = layout_of(trials, design)
    counts: Counter[Counted] = Counter()
    for draw in range(plan.first, plan.first + plan.draws):
        rng = np.random.default_rng([*place, draw, 1])
        planted = plant(trials, layout, truth, rng, plan.rough)
        for answer in answers(evidence._replace(trials=planted), truth):
            counts[Counted(design.name, plan.rough, truth.name, *answer)] += 1
    return counts


def _light(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that planting, fits and claims read, texts as Python's. Copying the other
    two hundred, and texts of Arrow's, takes most of a fit's time."""
    texts = {name: object for name in READ if pd.api.types.is_string_dtype(trials[name])}
    return trials[list(READ)].astype(texts)
