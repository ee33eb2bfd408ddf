"""`unilaw run`: from a sweep file to rows in a store."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.commands.task_files import refs_of
from harness.exit_codes import ExitCode
from harness.interruption import ends_with_its_code, exit_code
from harness.terminal.counts import by_kind
from harness.terminal.options import (
    Inline,
    OneTrial,
    Quiet,
    RayAddress,
    RetryFailed,
    RowStore,
    TaskFile,
)
from harness.terminal.page_options import FromPage, ReadPagesSources, SweepOrNone, named_sweep
from harness.terminal.streams import say

if TYPE_CHECKING:
    from harness.run import Outcome
    from harness.store.store import Store
    from harness.sweeps.sweep import Sweep
    from harness.terminal.progress import Progress


def run(
    sweep: SweepOrNone = None,
    from_page: FromPage = None,
    store: RowStore = None,
    address: RayAddress = None,
    inline: Inline = False,
    task_file: TaskFile = None,
    trial: OneTrial = None,
    retry_failed: RetryFailed = False,
    read_sources: ReadPagesSources = False,
    quiet: Quiet = False,
) -> None:
    """Run what the store does not have yet. Exits with 1 when trials failed."""
    from harness.terminal.progress import Progress

    progress = Progress(quiet=quiet)
    if from_page or sweep:
        progress.loading(f"reading {from_page or sweep}")
    try:
        from harness.terminal.refusals import refuse_inline_on_a_cluster  # loads torch: a second

        refuse_inline_on_a_cluster(inline, address)
        loaded = _loaded(sweep, from_page, task_file, trial, read_sources, progress)
        outcome, opened = _run(loaded, store, address, inline, retry_failed, progress)
    finally:
        progress.stop()

    if trial is not None and outcome.finished_before:
        progress.say(
            f"the trial {loaded.trials[0].trial_id} is finished in {opened}, so nothing was run; to"
            " run it again, name another --store"
        )
    failed = sum(outcome.failed.values()) + outcome.given_up
    typer.echo(
        f"{outcome.ok} ok, {failed} failed{by_kind(outcome.failed)},"
        f" {outcome.finished_before} finished before, {outcome.seconds:.0f} s; rows in {opened}"
    )
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def _loaded(
    sweep: str | None,
    from_page: Path | None,
    task_file: Path | None,
    trial: str | None,
    read_sources: bool,
    progress: "Progress",
) -> "Sweep":
    """Return the sweep that was named, or that a page holds, or one trial of it."""
    from harness.sweeps.from_page import sweep_in_page
    from harness.sweeps.sweep import load_sweep

    refs, say = refs_of(task_file), progress.say_before_the_run
    if from_page is not None:
        loaded = sweep_in_page(from_page, sweep, refs, read_sources, say)
    else:
        loaded = load_sweep(named_sweep(sweep, read_sources), refs, say)
    return loaded if trial is None else loaded.only(trial)


def _run(
    loaded: "Sweep",
    store: str | None,
    address: str | None,
    inline: bool,
    retry_failed: bool,
    progress: "Progress",
) -> "tuple[Outcome, Store]":
    """Run the sweep. Return what became of it, and the store of its rows."""
    from harness.planning.cores import refuse_more_cores_than_here
    from harness.planning.plan import cost_cells, refuse_what_cannot_fit, say_uncounted
    from harness.run import how_to_go_on
    from harness.run import run as run_sweep
    from harness.terminal.refusals import create_store

    if address is None:
        refuse_more_cores_than_here(loaded.resources.cpus, "resources.cpus")
    cells, uncounted = cost_cells(loaded)
    say_uncounted(uncounted, progress.say_before_the_run)
    refuse_what_cannot_fit(cells, loaded, here=address is None)
    if address is not None:  # before anything is written
        from harness.dispatch.cluster import connect

        most_gpus = max((cell.gpus or 0.0 for cell in cells), default=0.0)
        with ends_with_its_code():
            connect(address, loaded.resources, most_gpus)

    opened = create_store(loaded, store)
    try:
        outcome = run_sweep(loaded, opened, address, inline, retry_failed, progress)
    except KeyboardInterrupt as e:
        progress.stop()
        say(  # also with --quiet: it is what ends the command
            f"interrupted; finished trials are in {opened}. To go on: {how_to_go_on(sys.argv)}"
        )
        raise typer.Exit(exit_code(e)) from None
    return outcome, opened
