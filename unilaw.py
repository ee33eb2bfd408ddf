"""unilaw in a notebook or a script. Each function does what the command of its name does, and
raises `UserError` with the sentence that the command would print.

>>> import unilaw
>>> sweep = {
...     "name": "first",
...     "seeds": [0, 1],
...     "tasks": [{"task": "sphere", "fixed": {"n": 64, "d": 8}, "grid": {"width": [8, 16, 32]}}],
... }
>>> unilaw.plan(sweep).trials
6
>>> unilaw.run(sweep, inline=True)                             # doctest: +SKIP
>>> rows = unilaw.rows("runs/first")                           # doctest: +SKIP
>>> rows.groupby("config_json")["test_accuracy"].mean()        # doctest: +SKIP
>>> unilaw.law_fits(rows)[["kind", "measure", "slope"]]        # doctest: +SKIP
>>> unilaw.fit("runs.csv", "chinchilla")["alpha"]              # doctest: +SKIP
>>> unilaw.report("runs/first")                                # doctest: +SKIP

Importing it loads neither torch nor Ray nor pandas. `python -m unilaw` is the command.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness
from harness.errors import UserError

if TYPE_CHECKING:  # each function imports what it needs
    import pandas as pd

    from harness.planning.plan import Plan
    from harness.run import Outcome
    from harness.sweeps.sweep import Sweep
    from harness.terminal.progress import Progress
    from reports.scaling.read_table import Source
    from reports.scaling.table_fit import TableFit
    from reports.trackers.hub import Shared
    from reports.trackers.push import Pushed

__all__ = ["UserError", "fit", "law_fits", "plan", "report", "rows", "run", "share", "track"]

__version__ = harness.__version__


def plan(
    sweep: str | Path | Mapping[str, Any] | Sweep, task_file: str | Path | None = None
) -> Plan:
    """Return what a sweep would cost: parameters, FLOPs and memory of every cell, and seconds in
    all.

    sweep: a shipped sweep's name, a sweep file's path, a dict of what such a file holds, or a
    Sweep. task_file: a Python file that defines further tasks. Raises UserError for a mistake in
    either, and for a cell that does not fit into memory.

    >>> [cell.p for cell in plan({
    ...     "name": "two", "seeds": [0],
    ...     "tasks": [{"task": "sphere", "fixed": {"d": 4}, "grid": {"width": [8, 16]}}],
    ... }).cells]
    [49, 97]
    """
    from harness.planning.plan import plan as make_plan
    from harness.terminal.streams import say

    return make_plan(_sweep(sweep, task_file, say), say)


def run(
    sweep: str | Path | Mapping[str, Any] | Sweep,
    store: str | Path | None = None,
    *,
    address: str | None = None,
    inline: bool = False,
    task_file: str | Path | None = None,
    retry_failed: bool = False,
) -> Outcome:
    """Run the trials that the store lacks, and return how many ended how. A failed trial is a row,
    not an exception.

    store: a folder or a bucket's address; default: the sweep's own, runs/NAME. address: a running
    Ray cluster, as for `unilaw run --address`; default: Ray on this machine. inline: run in this
    process, without Ray. Progress is shown on stderr. A KeyboardInterrupt leaves finished rows in
    the store; the same call goes on from there.

    >>> run("quickstart", store="runs/here").ok                # doctest: +SKIP
    278
    """
    from harness.terminal.progress import Progress

    progress = Progress()
    progress.loading("reading the sweep")
    try:
        return _run(sweep, store, address, inline, task_file, retry_failed, progress)
    finally:
        progress.stop()


def _run(
    sweep: str | Path | Mapping[str, Any] | Sweep,
    store: str | Path | None,
    address: str | None,
    inline: bool,
    task_file: str | Path | None,
    retry_failed: bool,
    progress: Progress,
) -> Outcome:
    from harness.dispatch.worker import pin
    from harness.interruption import ends_with_its_code
    from harness.planning.cores import refuse_more_cores_than_here
    from harness.planning.plan import cost_cells, refuse_what_cannot_fit, say_uncounted
    from harness.run import run as run_sweep
    from harness.terminal.refusals import create_store, refuse_inline_on_a_cluster

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    pin(str(harness.HOME))

    refuse_inline_on_a_cluster(inline, address)
    say = progress.say_before_the_run
    loaded = _sweep(sweep, task_file, say)
    if address is None:
        refuse_more_cores_than_here(loaded.resources.cpus, "resources.cpus")
    cells, uncounted = cost_cells(loaded)
    say_uncounted(uncounted, say)
    refuse_what_cannot_fit(cells, loaded, here=address is None)
    if address is not None:
        from harness.dispatch.cluster import connect

        most_gpus = max((cell.gpus or 0.0 for cell in cells), default=0.0)
        with ends_with_its_code():
            connect(address, loaded.resources, most_gpus)

    opened = create_store(loaded, None if store is None else _place(store))
    return run_sweep(loaded, opened, address, inline, retry_failed, progress)


def rows(store: str | Path) -> pd.DataFrame:
    """Return a store as one row for each trial: its newest measurement, failures included.

    The columns are those of docs/columns.md, then `kind`, then the fields of the configurations; a
    field that has the name of another column is `config_NAME`. Warns of files that cannot be read.

    >>> ok = rows("runs/quickstart").query("status == 'ok'")   # doctest: +SKIP
    >>> alike = ok.groupby(["task", "config_json"])            # doctest: +SKIP
    >>> alike["test_accuracy"].mean()  # over seeds            # doctest: +SKIP
    """
    from reports.latest_rows import latest_rows

    return latest_rows(_place(store))


def law_fits(rows_or_store: pd.DataFrame | str | Path, *, from_onset: int = 1) -> pd.DataFrame:
    """Return the slopes that the report states, one row for each kind and measure, with interval,
    verdict, filter, objective and the number of rows behind it (docs/rows.md).

    rows_or_store: what `rows` returned, or a store. Some of the rows will do, but a kind with few
    curves takes its interval from all kinds: fit all of them and choose among the fits.
    from_onset: 1 for the slopes that the report states; 2, 4 or 8 for the cells from that multiple
    of the onset's p on.

    >>> fits = law_fits("runs/quickstart")                     # doctest: +SKIP
    >>> fits[fits.measure == "stability_attack_mean"]          # doctest: +SKIP
    """
    from reports.latest_rows import latest_rows
    from reports.law_table import law_table

    if isinstance(rows_or_store, str | Path):
        rows_or_store = latest_rows(_place(rows_or_store))
    return law_table(rows_or_store, from_onset)


def fit(
    table: Source,
    form: str | Sequence[str] = (),
    *,
    columns: str | Sequence[str] | Mapping[str, str] | None = None,
    cluster: str | None = None,
    budget: str | float | None = None,
    where: str | Sequence[str] = (),
    lowest: bool = False,
    loss: str = "huber",
    delta: float = 1e-3,
    residual: str = "log",
) -> TableFit:
    """Fit scaling forms to a table of sizes and losses, and judge them by its largest runs.

    table: a CSV, TSV, JSON or Parquet file, a store, a data frame, columns or records. form: the
    form, or forms, whose parameters are wanted; by default the one that foresees the largest runs
    best. columns: role → column, such as {"N": "params", "D": "tokens", "L": "loss"}, or the text
    "N=params,D=tokens,L=loss"; by default they are recognised by their names. cluster: the column
    of what rows share. budget: FLOPs, or the column of them. where: conditions such as "loss<4".
    lowest: keep the row of the lowest measure at each point, as laws of tuned runs are fitted.
    loss, delta, residual: what is minimised.
    docs/fitting.md explains all of it. Raises UserError for what cannot be used.

    >>> table = {
    ...     "params": [n for n in (1e7, 1e8, 1e9, 1e10) for _ in range(4)],
    ...     "tokens": [1e9, 1e10, 1e11, 1e12] * 4,
    ... }
    >>> table["loss"] = [
    ...     1.8 + 400 * n**-0.34 + 2000 * d**-0.37
    ...     for n, d in zip(table["params"], table["tokens"])
    ... ]
    >>> found = fit(table, "chinchilla")
    >>> print(round(found["alpha"].value, 3), round(found["beta"].value, 3))
    0.34 0.37
    >>> print(found.predict(N=7e10, D=1.4e12).round(3))
    [1.946]
    >>> found.audit.headline, len(found.to_frame())
    ('chinchilla', 6)
    """
    from reports.scaling.table_fit import fit_table

    conditions = [where] if isinstance(where, str) else where
    forms = [form] if isinstance(form, str) else form
    source = _place(table) if isinstance(table, str | Path) else table
    return fit_table(
        source, forms, columns or (), cluster, budget, conditions, loss, delta, residual, lowest
    )


def report(store: str | Path, output: str | Path | None = None) -> str:
    """Write the report, one HTML file, and return its path; default: _report.html in the store.

    >>> report("runs/quickstart", output="quickstart.html")    # doctest: +SKIP
    'quickstart.html'
    """
    from reports.command import make_report

    printed = make_report([_place(store)], None if output is None else Path(_place(output)))
    return printed.removeprefix("report: ")


def track(store: str | Path, to: str, project: str | None = None) -> Pushed:
    """Send the newest row of each trial to an experiment tracker, as a run: mlflow, wandb (offline)
    or trackio, whichever is installed. Rows that are there already are not sent again.

    No path, host name, user name or token goes along; `Pushed.withheld` counts what was left out.

    >>> track("runs/quickstart", to="mlflow").sent             # doctest: +SKIP
    278
    """
    from reports.trackers.push import push

    return push(_place(store), to, project)


def share(store: str | Path, to: str, public: bool = False) -> Shared:
    """Put the newest row of each trial into a data set of the Hugging Face Hub, private unless
    `public` is true.

    No path, host name, user name or token goes along; `Shared.withheld` counts what was left out.

    >>> share("runs/quickstart", to="hub:me/rows").private     # doctest: +SKIP
    True
    """
    from reports.trackers.hub import share as share_rows

    return share_rows(_place(store), to, public)


def _place(where: str | Path) -> str:
    """Return a path or a bucket's address with `~` replaced."""
    from harness.sweeps.user_paths import user_path

    return user_path(str(where))


def _sweep(
    sweep: str | Path | Mapping[str, Any] | Sweep,
    task_file: str | Path | None,
    say: Callable[[str], None],
) -> Sweep:
    from harness.commands.task_files import refs_of
    from harness.sweeps.sweep import Sweep, load_sweep, parse_sweep

    if isinstance(sweep, Sweep):
        return sweep
    refs = refs_of(None if task_file is None else Path(_place(task_file)))
    if isinstance(sweep, Mapping):
        return parse_sweep(_as_yaml(sweep), "sweep", refs)
    return load_sweep(_place(sweep), refs, say)


def _as_yaml(sweep: Mapping[str, Any]) -> str:
    """Return the text of the sweep file that a dict stands for. Raises UserError for a value that
    no sweep file can hold."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    try:
        return yaml.dump(dict(sweep), Dumper=Plain, sort_keys=False, allow_unicode=True)
    except yaml.representer.RepresenterError as e:
        kind = type(e.args[-1]).__name__
        raise UserError(
            f"the sweep holds a {kind}, {str(e.args[-1])[:60]!r}; allowed are numbers, texts, lists"
            " and dicts of plain Python"
        ) from None


if __name__ == "__main__":
    from harness.cli import main

    main()
