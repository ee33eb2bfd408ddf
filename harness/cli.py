"""The `unilaw` command. Each subcommand reads its input, calls one function and prints what it
returned."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import harness
from harness.errors import UserError
from harness.exit_codes import ExitCode
from harness.interruption import ends_with_its_code, exit_code
from harness.terminal.counts import by_kind
from harness.terminal.options import (
    Again,
    AllCells,
    AsJson,
    CompactSource,
    CompactTarget,
    Cpus,
    Detach,
    Draws,
    Gpus,
    Inline,
    JobArgument,
    JobServer,
    OneDesign,
    OneTrial,
    Points,
    RayAddress,
    ReadSources,
    ReportFile,
    RetryFailed,
    RowStore,
    RowStoreOfJob,
    SelftestPage,
    SelftestSeed,
    StoreArgument,
    SweepArgument,
    TaskFile,
    Version,
)
from harness.terminal.streams import prepare_streams, say

if TYPE_CHECKING:  # everything else is imported by the command that needs it: --help stays quick
    from harness.sweeps.registry import TaskRef

app = typer.Typer(
    name="unilaw",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def unilaw(
    version: Version = False,
) -> None:
    """Scaling-law benchmark harness for the universal law of robustness."""


@app.command()
def tasks(task_file: TaskFile = None) -> None:
    """What can be swept: each task's configuration fields, and every column it reports."""
    from harness.terminal.listing import listing

    typer.echo(listing(_refs(task_file)))


@app.command()
def plan(
    sweep: SweepArgument,
    as_json: AsJson = False,
    every_cell: AllCells = False,
    task_file: TaskFile = None,
) -> None:
    """Every cell's cost before anything runs."""
    from harness.planning.plan import plan as make_plan
    from harness.sweeps.sweep import load_sweep
    from harness.terminal.listing import plan_table

    loaded = load_sweep(sweep, _refs(task_file), say)
    costs = make_plan(loaded, say)
    if as_json:
        cells = [cell._asdict() for cell in costs.cells]
        typer.echo(json.dumps({**costs._asdict(), "cells": cells}, indent=1))
    else:
        typer.echo(plan_table(costs, every_cell))


@app.command()
def run(
    sweep: SweepArgument,
    store: RowStore = None,
    address: RayAddress = None,
    inline: Inline = False,
    task_file: TaskFile = None,
    trial: OneTrial = None,
    retry_failed: RetryFailed = False,
) -> None:
    """Run what the store does not have yet. Exits with 1 when trials failed."""
    from harness.planning.cores import refuse_more_cores_than_here
    from harness.planning.plan import cost_cells, refuse_what_cannot_fit, say_uncounted
    from harness.run import how_to_go_on
    from harness.run import run as run_sweep
    from harness.sweeps.sweep import load_sweep
    from harness.terminal.progress import Progress
    from harness.terminal.refusals import create_store, refuse_inline_on_a_cluster

    refuse_inline_on_a_cluster(inline, address)
    loaded = load_sweep(sweep, _refs(task_file), say)
    if trial is not None:
        loaded = loaded.only(trial)
    if address is None:
        refuse_more_cores_than_here(loaded.resources.cpus, "resources.cpus")
    cells, uncounted = cost_cells(loaded)
    say_uncounted(uncounted, say)
    refuse_what_cannot_fit(cells, loaded, here=address is None)
    if address is not None:  # before anything is written
        from harness.dispatch.cluster import connect

        most_gpus = max((cell.gpus or 0.0 for cell in cells), default=0.0)
        with ends_with_its_code():
            connect(address, loaded.resources, most_gpus)

    progress = Progress()
    opened = create_store(loaded, store)
    try:
        outcome = run_sweep(loaded, opened, address, inline, retry_failed, progress)
    except KeyboardInterrupt as e:
        progress.stop()
        progress.say(
            f"interrupted; finished trials are in {opened}. To go on: {how_to_go_on(sys.argv)}"
        )
        raise typer.Exit(exit_code(e)) from None
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


@app.command()
def launch(
    sweep: SweepArgument,
    address: JobServer,
    store: RowStoreOfJob = None,
    task_file: TaskFile = None,
    detach: Detach = False,
    retry_failed: RetryFailed = False,
) -> None:
    """Run a sweep as a job of a Ray cluster and follow it; once more, and it follows the running
    job. Exits as `run` would there."""
    from harness.dispatch import job_server
    from harness.dispatch.launch import launch as launch_sweep
    from harness.planning.plan import cost_cells, refuse_what_cannot_fit, say_uncounted
    from harness.run import how_to_go_on
    from harness.sweeps.sweep import load_sweep

    client = job_server.connect(address)
    refs = _refs(task_file)
    loaded = load_sweep(sweep, refs, say)
    cells, uncounted = cost_cells(loaded)
    say_uncounted(uncounted, say)
    refuse_what_cannot_fit(cells, loaded, here=False)

    same_command = shlex.split(how_to_go_on(sys.argv))
    code = launch_sweep(
        client,
        address,
        loaded,
        refs,
        store,
        retry_failed,
        detach,
        how_to_follow=shlex.join(a for a in same_command if a != "--detach"),
        write=lambda text: typer.echo(text, nl=False),
        say=say,
    )
    raise typer.Exit(code)


@app.command()
def cancel(job: JobArgument, address: JobServer) -> None:
    """Stop a job that `launch` started. What it has finished stays, and `launch` goes on from
    there."""
    from harness.dispatch import job_server, jobs

    typer.echo(jobs.cancel(job_server.connect(address), job))


@app.command()
def measure(
    store: StoreArgument,
    task_file: TaskFile = None,
    points: Points = None,
    again: Again = False,
    read_sources: ReadSources = False,
    cpus: Cpus = 1,
    gpus: Gpus = 0,
    address: RayAddress = None,
    inline: Inline = False,
) -> None:
    """Measure kept weights with today's instruments; nothing is trained again. Exits with 1 when
    some could not be measured."""
    from harness.remeasure import remeasure
    from harness.store.store import Store
    from harness.terminal.progress import Progress
    from harness.terminal.refusals import measuring_resources, refuse_inline_on_a_cluster

    refuse_inline_on_a_cluster(inline, address)
    resources = measuring_resources(cpus, gpus, address)
    progress = Progress()
    Store.open(store)  # refuses what is no store, which create() would make into one
    try:
        outcome = remeasure(
            Store.create(store),
            _refs(task_file),
            resources,
            points,
            address,
            inline,
            again,
            read_sources,
            progress,
        )
    except KeyboardInterrupt as e:
        progress.stop()
        progress.say(
            "interrupted; what was measured so far is in the store; run the same command again to"
            " continue"
        )
        raise typer.Exit(exit_code(e)) from None
    finally:
        progress.stop()

    typer.echo(
        f"{outcome.measured} measured, {outcome.failed.total()} not{by_kind(outcome.failed)},"
        f" {outcome.current} up to date, {outcome.without_weights} without kept weights; rows in"
        f" {store}"
    )
    if outcome.failed:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def status(store: StoreArgument) -> None:
    """Trials done, failed and left, by task and kind of failure."""
    from harness.store.store import Store
    from harness.terminal.status import status as store_status
    from harness.terminal.status import status_table

    typer.echo(status_table(store_status(Store.open(store))))


@app.command()
def report(
    store: StoreArgument,
    output: ReportFile = None,
) -> None:
    """Fit the rows and write one self-contained HTML file."""
    from reports.page import write_report

    typer.echo(f"report: {write_report(store, output)}")


@app.command()
def selftest(
    draws: Draws = 50,
    only: OneDesign = None,
    seed: SelftestSeed = 1,
    as_json: AsJson = False,
    page: SelftestPage = None,
) -> None:
    """Plant known truths in simulated stores and count how often the report states them. Exits with
    1 when a stated rate is broken."""
    from reports.selftest.command import selftest as run_selftest

    outcome = run_selftest(draws, only, seed, page, say)
    typer.echo(outcome.as_json if as_json else outcome.as_text)
    if outcome.broken:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def compact(source: CompactSource, target: CompactTarget) -> None:
    """Copy a store into a new one with a single row file."""
    from harness.store.compact import compact as compact_store

    files, rows = compact_store(source, target)
    typer.echo(f"{rows} rows from {files} files, now one file in {target}")


@app.command()
def schema(task_file: TaskFile = None) -> None:
    """JSON Schema of the sweep file, for editors."""
    from harness.sweeps.editor_schema import sweep_schema

    typer.echo(json.dumps(sweep_schema(_refs(task_file)), indent=1))


def _refs(task_file: Path | None) -> "dict[str, TaskRef]":
    """Return the tasks that a --task-file defines, by name."""
    from harness.sweeps.registry import refs_in

    return refs_in(task_file) if task_file else {}


def main() -> None:
    """Entry point: bad input is one sentence on stderr and exit code 2."""
    from harness.dispatch.worker import pin

    prepare_streams()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    pin(str(harness.HOME))
    try:
        app()
    except UserError as e:
        for line in str(e).splitlines():
            say(f"unilaw: {line}")
        sys.exit(ExitCode.BAD_INPUT)


if __name__ == "__main__":  # as the job of `launch` calls it
    main()
