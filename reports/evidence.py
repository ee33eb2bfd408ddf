"""Turn rows into the table that every fit, claim and figure reads: the latest view, with columns
that say which trials enter a fit.

A cell is whole when every seed finished and met the stop rule. The trials of a whole cell enter
fits if the cell is larger than the smallest whole cell of its curve, and the curve has at least
MIN_SIZES such sizes. Leaving out the smallest whole cell drops the peak at the onset of fitting.

Training for fixed epochs without injected noise meets no noise level. There a net counts as not
fitted when its training error is above half that of guessing: a net that gives every input the same
answer is perfectly stable and says nothing. A language model with a target at every position errs
on half of them however well it reads, so there the training loss decides: it must be at most LEARNT
of a uniform guess's. Models that were trained elsewhere enter no fit, because they differ in more
than size.

A trial tests the law's Lipschitz form when its squared error is at most half of σ², and the
stability form when its 0-1 training error is at most half of R*. Each chart fills the points that
test its form.

The law bounds the best function of a class, and a search for it (`frontier` in the configuration)
ends with another kind of model than plain training. The two never share a fit, a claim or a chart
of plainly trained models: `Evidence.trials` holds plain training, `Evidence.frontier` the searches.

Nor does a model that learned its own input space: the law compares models on one space, and there
it moves with the labels and with the size. `Evidence.outside` holds these, for lists and for marks
of their own.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from harness.errors import UserError
from harness.store.latest import latest
from harness.store.marker import MARKER
from harness.store.records import RunRecord, SweepRecord, still_asked
from harness.store.replaced import replaced
from harness.store.schema import arrow_schema
from harness.store.store import Store
from harness.store.under_way import cut_off
from reports.entries import in_arrow
from reports.kinds import NOT_TRAINED, with_kinds
from reports.measures import with_measures
from reports.where import fitting, parse, refuse_nothing

MIN_SIZES = 3
"""Sizes past its onset that a curve needs before it says anything about a slope."""
LEARNT = 0.9
"""A language model has learnt something when its training loss is at most this share of
log(outputs), the loss of a uniform guess."""
OUTSIDE = "outside"
"""The value of `isoperimetry` in rows of models that learned their own input space."""
LEARNED_SPACE = "learned its own input space: outside the law, which compares models on one space"
NOT_READ = (
    "loss_curve",
    "robust_accuracy_l2_se",
    "robust_accuracy_linf_se",
    "noise_accuracy",
    "noise_accuracy_se",
    "noise_output_change",
)
"""Lists of a row that the page does not show; they would take most of the memory."""


class Evidence(NamedTuple):
    """The rows of one or several stores, ready for fits.

    `trials` are the ok rows of plain training in the latest view, with the columns of `_derive` and
    `with_measures`, and without those of NOT_READ and `corruptions`, of which a row has forty
    entries. `frontier` are the ok rows of searches for the most robust fit, `outside` those of
    models that learned their own input space, both with the same columns.
    `failures` are the failed rows, without the trials `replaced`. `attempts` counts all rows. Each
    row has the name of its store in the column `store`.
    """

    store: Store
    """The first store."""
    trials: pd.DataFrame
    failures: pd.DataFrame
    attempts: int
    sweeps: list[SweepRecord]
    runs: list[RunRecord]
    problems: list[str]
    replaced: frozenset[str]
    """Failed trials that have run since under another id, or that no sweep asks for any more."""
    frontier: pd.DataFrame
    stores: Mapping[str, Store] = {}
    """All stores, by the names that the page gives them."""
    where: tuple[str, ...] = ()
    """The conditions that chose the rows, as the user wrote them."""
    left_out: frozenset[str] = frozenset()
    """Trials that do not fit the conditions."""
    outside: pd.DataFrame = pd.DataFrame()

    @property
    def all_trials(self) -> pd.DataFrame:
        """Return all ok rows, plain training first: for counts, costs and lists, never for a
        fit."""
        return _joined(self.trials, self.frontier, self.outside)

    @property
    def drawn_by_law(self) -> pd.DataFrame:
        """Return the rows that the law chart draws: plain training, and models that learned their
        own input space, which are hollow there and enter no fit."""
        return _joined(self.trials, self.outside)


def read_evidence(*places: str | Path, where: Sequence[str] = ()) -> Evidence:
    """Read a store, or several as one. A trial that several stores have counts once, with its
    newest row.

    where: conditions on the rows, as in `reports.where`. Raise UserError when there is no store at
    a place, when one is named twice, and when no row fits the conditions.
    """
    conditions = [parse(condition) for condition in where]
    stores = _named([Store.open(place) for place in places])
    rows, problems = _read(stores)
    newest = latest(rows)
    fits = fitting(newest, conditions)
    if conditions and not fits.any():
        refuse_nothing(newest, conditions)
    left_out = frozenset(newest.loc[~fits, "trial_id"])
    attempts = len(rows) - int(rows["trial_id"].isin(left_out).sum())
    del rows  # the rows that a newer one stands for need not stay in memory

    sweeps = [sweep for store in stores.values() for sweep in store.sweeps()]
    over = (replaced(newest) | _no_longer_asked(newest, sweeps)) - left_out
    newest = newest[fits]
    still_failed = newest["status"].eq("failed") & ~newest["trial_id"].isin(over)
    failed = newest[still_failed].reset_index(drop=True)
    trials = trials_of(newest, failed)
    # one Python text for each id, which all the numbers of the page share
    trials["trial_id"] = trials["trial_id"].astype(object)
    plain, searched, outside = parted(trials)
    return Evidence(
        next(iter(stores.values())),
        plain,
        failed,
        attempts=attempts,
        sweeps=sweeps,
        runs=sorted(
            (run for store in stores.values() for run in store.runs()), key=lambda run: run.began
        ),
        problems=problems,
        replaced=over,
        frontier=searched,
        outside=outside,
        stores=stores,
        where=tuple(condition.text for condition in conditions),
        left_out=left_out,
    )


def parted(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return plain training, searches for the most robust fit, and models that learned their own
    input space. The parts share no fit."""
    searched = trials["frontier"].notna()
    outside = trials["isoperimetry"].eq(OUTSIDE)
    if not (searched | outside).any():
        return trials, trials.iloc[:0], trials.iloc[:0]
    plain, searches, learned = (
        trials[own].reset_index(drop=True) for own in (~searched & ~outside, searched, outside)
    )
    return plain, searches, learned


def _joined(first: pd.DataFrame, *others: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all tables; the first itself where the others have none."""
    more = [other for other in others if len(other)]
    return pd.concat([first, *more], ignore_index=True) if more else first


def trials_of(newest: pd.DataFrame, failed: pd.DataFrame) -> pd.DataFrame:
    """Return the ok rows of a latest view, ready for fits: with the columns of `_derive` and
    `with_measures`, and without `corruptions`. failed: the failed rows that count."""
    ok = _whole_types(newest[newest["status"] == "ok"].reset_index(drop=True))
    return with_measures(_derive(ok, failed)).drop(columns="corruptions")


def _no_longer_asked(newest: pd.DataFrame, sweeps: Sequence[SweepRecord]) -> frozenset[str]:
    """Return the failed trials in whose place their sweep asks for others, as after a change of
    their task's fields: the same sweep file, run again, no longer makes them."""
    once_asked = {trial for sweep in sweeps for trial in sweep.trials}
    gone = once_asked - still_asked(sweeps)
    return frozenset(newest.loc[newest["status"].eq("failed"), "trial_id"]) & gone


def _named(stores: Sequence[Store]) -> dict[str, Store]:
    """Return the stores by name. Where two share the last part of their paths, the later one gets
    a number. Raise UserError when one is given twice."""
    named: dict[str, Store] = {}
    addresses: set[str] = set()
    for store in stores:
        address = store.files.address(MARKER)
        if address in addresses:
            raise UserError(f"the store '{store}' is named twice")
        addresses.add(address)

        name, number = store.name, 1
        while name in named:
            number += 1
            name = f"{store.name} ({number})"
        named[name] = store
    return named


def _read(stores: Mapping[str, Store]) -> tuple[pd.DataFrame, list[str]]:
    """Return all rows of the stores, and a sentence about each file that cannot be read."""
    columns = [name for name in arrow_schema().names if name not in NOT_READ]
    tables, problems = [], []
    for name, store in stores.items():
        contents = store.read(columns, in_arrow)
        found = [*contents.problems, *map(str, cut_off(store.files))]
        problems += [f"{name}: {problem}" for problem in found] if len(stores) > 1 else found
        named = pd.Series(name, index=contents.rows.index, dtype=object, name="store")
        tables.append(pd.concat([contents.rows, named], axis=1))
    rows = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    return rows, problems


def _whole_types(ok: pd.DataFrame) -> pd.DataFrame:
    """Return integer and boolean columns in their own types. pandas widened them, because failed
    rows lack them."""
    wanted = {f.name: "int64" for f in arrow_schema() if pa.types.is_integer(f.type)}
    wanted |= {f.name: "bool" for f in arrow_schema() if pa.types.is_boolean(f.type)}
    return ok.astype({name: kind for name, kind in wanted.items() if ok[name].notna().all()})


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dictionaries of plain Python values."""
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _derive(ok: pd.DataFrame, failed: pd.DataFrame) -> pd.DataFrame:
    """Return the ok rows with adversary, frontier, problem, kind, curve, cell, x_law, complete,
    whole, onset, in_fit, tests_stability, tests_lipschitz and why_hollow.

    adversary: what the model was trained against, or "none". frontier: how the most robust fit was
    searched for, None for plain training. problem: family, target and noise level. kind: problem,
    stop rule, adversary and search; its trials share one slope. curve: one kind and one setting of
    everything but size. cell: one configuration, all its seeds. x_law: p/(n·d), d ambient; NaN
    where n is not known. complete: no seed of the cell failed, so the cell does not consist of its
    lucky seeds.
    """
    t = with_kinds(ok)
    # as Python texts: Arrow's are slow to group by
    t["curve"] = (t["kind"] + " " + t["settings_json"]).astype(object)
    size = "p=" + t["p"].astype("Int64").astype(str)
    # Models trained elsewhere are not seeds of one another, even where their sizes are equal.
    size = size.mask(t["stop_reason"].eq(NOT_TRAINED), t["config_json"])
    t["cell"] = (t["curve"] + " " + size).astype(object)
    t["x_law"] = t["p"] / (t["n"] * t["d_ambient"])

    lost = set(zip(failed["task"], failed["config_json"], strict=True))
    if lost:
        configurations = zip(t["task"], t["config_json"], strict=True)
        t["complete"] = [configuration not in lost for configuration in configurations]
    else:
        t["complete"] = True

    outside = t["isoperimetry"].eq(OUTSIDE)
    trained = t["stop_reason"].ne(NOT_TRAINED)
    settled = t["stop_reason"].ne("epoch_cap") | t["stop_rule"].eq("epochs")
    learnt = (_learnt(t) | t["stop_rule"].ne("epochs") | t["epsilon"].gt(0)) & trained
    enters = settled & learnt & t["complete"] & ~outside
    t["whole"] = enters.groupby(t["cell"]).transform("all").astype(bool)

    smallest = t["p"].where(t["whole"]).groupby(t["curve"]).transform("min")
    t["onset"] = smallest.astype(float).fillna(np.inf)
    t["in_fit"] = _in_fit(t, 1)

    t["tests_lipschitz"] = settled & t["below_noise"].eq(True) & ~outside
    t["tests_stability"] = t["tests_lipschitz"] & t["below_bayes_error"].eq(True)
    t["why_hollow"] = _why_hollow(t, trained, settled)
    return t


def _in_fit(t: pd.DataFrame, factor: float) -> pd.Series:
    """Return whether each trial enters a fit of the cells past the onset of their curve, from
    `factor` times its p on."""
    past = t["whole"] & t["p"].gt(t["onset"]) & t["p"].ge(factor * t["onset"])
    return past & t["p"].where(past).groupby(t["curve"]).transform("nunique").ge(MIN_SIZES)


def _why_hollow(t: pd.DataFrame, trained: pd.Series, settled: pd.Series) -> np.ndarray:
    """Return why each trial does not test the stability form; empty where it does."""
    reasons = [
        (t["tests_stability"], ""),
        (~trained, "trained elsewhere: outside the law's noise condition"),
        (t["isoperimetry"].eq(OUTSIDE), LEARNED_SPACE),
        (t["epsilon"].eq(0), "no injected noise: outside the law's noise condition"),
        (~settled, "stopped at its cap on epochs, above the noise level"),
        (t["tests_lipschitz"], "squared error below the noise, but not the 0-1 error"),
    ]
    return np.select(
        [applies for applies, _ in reasons],
        [reason for _, reason in reasons],
        "stopped above the noise level",
    )


def _learnt(t: pd.DataFrame) -> pd.Series:
    """Return whether each net without injected noise is better than one that has learnt nothing.

    Its training error must be at most half that of guessing. For a language model with a target at
    every position (more targets than samples, or bits per byte) the training loss must be at most
    LEARNT · log(outputs).
    """
    guessing = 1 - 1 / t["outputs"].clip(lower=2)
    every_position = t["tokens_distinct"].gt(t["n"]) | t["bits_per_byte"].notna()
    by_loss = t["train_loss"].le(learnt_loss(t["outputs"]))
    return by_loss.where(every_position, t["train_error"].le(guessing / 2))


def learnt_loss(outputs: pd.Series) -> pd.Series:
    """Return the largest loss, in nats, at which a language model has learnt something."""
    return pd.Series(np.log(outputs.clip(lower=2).astype(float)), outputs.index) * LEARNT


def fit_rows(trials: pd.DataFrame, kind: str, factor: float = 1) -> pd.DataFrame:
    """Return the rows of a kind that enter fits, from `factor` times the onset's p on."""
    of_kind = trials["kind"].eq(kind)
    if factor == 1:
        return trials[of_kind & trials["in_fit"]]
    own = trials[of_kind]
    return own[_in_fit(own, factor)]
