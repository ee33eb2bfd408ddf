"""The `unilaw` command. Each subcommand reads its input, calls one function and prints what it
returned."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

import harness
from harness.errors import UserError, did_you_mean, strip_control_chars

app = typer.Typer(
    name="unilaw",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

SweepArgument = Annotated[
    str, typer.Argument(metavar="SWEEP", help="A sweep file, or the name of a shipped sweep.")
]
TaskFile = Annotated[
    Path | None,
    typer.Option("--task-file", metavar="FILE.py", help="A file that defines further tasks."),
]
StoreArgument = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        help="What `unilaw run` has written: a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.",
    ),
]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"unilaw {harness.__version__}")
        raise typer.Exit


@app.callback()
def unilaw(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
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
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    task_file: TaskFile = None,
) -> None:
    """Every cell's cost before anything runs."""
    from harness.planning.plan import plan as make_plan
    from harness.sweeps.sweep import load_sweep
    from harness.terminal.listing import plan_table

    made = make_plan(
        load_sweep(sweep, _refs(task_file)), say=lambda line: typer.echo(line, err=True)
    )
    if as_json:
        typer.echo(
            json.dumps({**made._asdict(), "cells": [c._asdict() for c in made.cells]}, indent=1)
        )
    else:
        typer.echo(plan_table(made))


@app.command()
def run(
    sweep: SweepArgument,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="STORE",
            help="Where rows go, a folder, s3://… or gs://…; default: the sweep file's store.",
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="ADDR", help="A running Ray cluster: auto or HOST:PORT.")
    ] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="In this process, without Ray; for debugging.")
    ] = False,
    task_file: TaskFile = None,
    trial: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only the trial with this id (or its beginning)."),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Run every failed trial again, whatever its kind."),
    ] = False,
) -> None:
    """Run what the store does not have yet. Exits with 1 when trials failed."""
    import dataclasses

    from harness.planning.plan import cost_cells, refuse_what_cannot_fit
    from harness.run import how_to_go_on
    from harness.run import run as run_sweep
    from harness.store.store import Store
    from harness.sweeps.sweep import load_sweep
    from harness.terminal.progress import Progress

    loaded = load_sweep(sweep, _refs(task_file))
    if trial is not None:
        chosen = tuple(t for t in loaded.trials if t.trial_id.startswith(trial))
        if not chosen:
            ids = [t.trial_id for t in loaded.trials]
            raise UserError(
                f"--trial {trial}: the sweep '{loaded.name}' has no such"
                f" trial{did_you_mean(trial, ids)}"
            )
        loaded = dataclasses.replace(loaded, trials=chosen)
    if inline and address is not None:
        raise UserError(
            "--inline runs in this process and --address on a cluster; give one of them"
        )
    cells = cost_cells(loaded, skip_broken=True)
    refuse_what_cannot_fit(cells, loaded, here=address is None)
    if address is not None:  # before anything is written
        from harness.dispatch.cluster import connect

        connect(address, loaded.resources, max((cell.gpus or 0.0 for cell in cells), default=0.0))

    progress = Progress()
    try:
        opened = Store.create(loaded.store if store is None else store)
    except UserError as e:
        raise UserError(f"{loaded.store_where}: {e}" if store is None else str(e)) from None
    try:
        outcome = run_sweep(loaded, opened, address, inline, retry_failed, progress)
    except KeyboardInterrupt:
        progress.stop()
        progress.say(
            f"interrupted; finished trials are in {opened}. To go on: {how_to_go_on(sys.argv)}"
        )
        raise typer.Exit(130) from None
    finally:
        progress.stop()
    failed = sum(outcome.failed.values()) + outcome.given_up
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(outcome.failed.items()))
    typer.echo(
        f"{outcome.ok} ok, {failed} failed{f' ({kinds})' if kinds else ''},"
        f" {outcome.finished_before} finished before, {outcome.seconds:.0f} s; rows in {opened}"
    )
    if failed:
        raise typer.Exit(1)


Address = Annotated[
    str, typer.Option(metavar="URL", help="A Ray cluster's job server, http://HEAD:8265.")
]


@app.command()
def launch(
    sweep: SweepArgument,
    address: Address,
    store: Annotated[
        str | None,
        typer.Option(metavar="URI", help="s3://…, gs://… or an absolute path on the head."),
    ] = None,
    task_file: TaskFile = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and leave it running.")
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Run every failed trial again, whatever its kind."),
    ] = False,
) -> None:
    """Run a sweep as a job of a Ray cluster and follow it; once more, and it follows the running
    job. Exits as `run` would there."""
    from harness.dispatch import job_log, job_server, jobs
    from harness.planning.plan import cost_cells, refuse_what_cannot_fit
    from harness.run import how_to_go_on
    from harness.sweeps.sweep import load_sweep

    client, refs = job_server.connect(address), _refs(task_file)
    loaded = load_sweep(sweep, refs)
    refuse_what_cannot_fit(cost_cells(loaded, skip_broken=True), loaded, here=False)
    where = jobs.store_for(loaded, store)
    job = jobs.submit(client, loaded, refs, where, retry_failed)
    again = shlex.join(a for a in shlex.split(how_to_go_on(sys.argv)) if a != "--detach")
    ways = (
        f"to follow it: {again}; to stop it: unilaw cancel {job.submission_id} --address {address}"
    )
    typer.echo(
        f"{job.submission_id} {'is running there already' if job.attached else 'is submitted'}; its"
        f" rows go to {where}",
        err=True,
    )
    if job.attached and retry_failed:
        typer.echo("--retry-failed changes nothing about a job that is running already", err=True)
    if detach:
        typer.echo(ways, err=True)
        typer.echo(job.submission_id)
        return
    try:
        details = job_log.follow(client, job.submission_id, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo(f"detached from {job.submission_id}, which goes on; {ways}", err=True)
        raise typer.Exit(130) from None
    except job_log.LostSight as e:
        typer.echo(
            f"unilaw: {e}; what has finished is in {where}, and the same command goes on", err=True
        )
        raise typer.Exit(1) from None
    typer.echo(jobs.how_it_ended(details), err=True)
    raise typer.Exit(jobs.exit_code(details))


@app.command()
def cancel(
    job: Annotated[
        str,
        typer.Argument(
            metavar="SWEEP|ID",
            help="A sweep file, a shipped sweep's name, or what `launch` printed.",
        ),
    ],
    address: Address,
) -> None:
    """Stop a job that `launch` started. What it has finished stays, and `launch` goes on from
    there."""
    from harness.dispatch import job_server, jobs

    typer.echo(jobs.cancel(job_server.connect(address), job))


@app.command()
def measure(
    store: StoreArgument,
    task_file: TaskFile = None,
    points: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Held-out points; default: the instruments' own."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also trials that have today's measures.")
    ] = False,
    cpus: Annotated[int, typer.Option(min=1, help="CPU cores, and torch threads, per batch.")] = 1,
    gpus: Annotated[
        float, typer.Option(min=0, help="GPUs per batch; a fraction below 1 shares one.")
    ] = 0,
    address: Annotated[
        str | None, typer.Option(metavar="ADDR", help="A running Ray cluster: auto or HOST:PORT.")
    ] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="In this process, without Ray; for debugging.")
    ] = False,
) -> None:
    """Measure kept weights with today's instruments; nothing is trained again. Exits with 1 when
    some could not be measured."""
    from harness.remeasure import remeasure
    from harness.store.store import Store
    from harness.sweeps.gpu_shares import rounded
    from harness.sweeps.sweep import Resources
    from harness.sweeps.trial import MEASURE_POINTS
    from harness.terminal.progress import Progress

    if inline and address is not None:
        raise UserError(
            "--inline runs in this process and --address on a cluster; give one of them"
        )
    if gpus not in (0, 1) and rounded(gpus) is None:
        raise UserError(
            f"--gpus {gpus:g}: must be 0, 1, or a share 1/k of one GPU (0.5, 0.3333, 0.25, …)"
        )
    resources, progress = Resources(cpus=cpus, gpus=gpus), Progress()
    Store.open(store)
    try:
        found = remeasure(
            Store.create(store),
            _refs(task_file),
            resources,
            points or MEASURE_POINTS,
            address,
            inline,
            again,
            progress,
        )
    except KeyboardInterrupt:
        progress.stop()
        progress.say(
            "interrupted; what was measured so far is in the store, and the same command goes on"
        )
        raise typer.Exit(130) from None
    finally:
        progress.stop()
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(found.failed.items()))
    typer.echo(
        f"{found.measured} measured, {found.failed.total()} not{f' ({kinds})' if kinds else ''},"
        f" {found.current} up to date, {found.without_weights} without kept weights; rows in"
        f" {store}"
    )
    if found.failed:
        raise typer.Exit(1)


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
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.html", help="Default: STORE/_report.html."),
    ] = None,
) -> None:
    """Fit the rows and write one self-contained HTML file."""
    from reports.page import write_report

    typer.echo(f"report: {write_report(store, output)}")


@app.command()
def compact(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A store.")],
    target: Annotated[
        str,
        typer.Argument(
            metavar="DST", help="A folder, or a prefix of a bucket, that does not exist yet."
        ),
    ],
) -> None:
    """Copy a store into a new one with a single row file."""
    from harness.store.store import compact as compact_store

    files, rows = compact_store(source, target)
    typer.echo(f"{rows} rows from {files} files, now one file in {target}")


@app.command()
def schema(task_file: TaskFile = None) -> None:
    """JSON Schema of the sweep file, for editors."""
    from harness.sweeps.editor_schema import sweep_schema

    typer.echo(json.dumps(sweep_schema(_refs(task_file)), indent=1))


def _refs(task_file: Path | None):
    from harness.sweeps.registry import refs_in

    return refs_in(task_file) if task_file else {}


def main() -> None:
    """Entry point: bad input is one sentence on stderr and exit code 2."""
    from harness.dispatch.worker import pin

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    pin(str(Path(__file__).resolve().parent.parent))
    try:
        app()
    except UserError as e:
        for line in str(e).splitlines():
            print(f"unilaw: {strip_control_chars(line)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":  # as the job of `launch` calls it
    main()
