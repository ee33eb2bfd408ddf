"""`unilaw launch` and `unilaw cancel`: a sweep as a job of a Ray cluster."""

import shlex
import sys

import typer

from harness.commands.task_files import refs_of
from harness.terminal.options import (
    CheckOnly,
    Detach,
    JobArgument,
    JobServer,
    RetryFailed,
    RowStoreOfJob,
    SweepArgument,
    TaskFile,
)
from harness.terminal.streams import say


def launch(
    sweep: SweepArgument,
    address: JobServer,
    store: RowStoreOfJob = None,
    task_file: TaskFile = None,
    detach: Detach = False,
    check: CheckOnly = False,
    retry_failed: RetryFailed = False,
) -> None:
    """Run a sweep as a job of a Ray cluster and follow it; once more, and it follows the running
    job. Exits as `run` would there."""
    from harness.dispatch import job_server, jobs
    from harness.dispatch.launch import launch as launch_sweep
    from harness.planning.plan import cost_cells, refuse_what_cannot_fit, say_uncounted
    from harness.run import how_to_go_on
    from harness.sweeps.sweep import load_sweep

    refs = refs_of(task_file)
    loaded = load_sweep(sweep, refs, say)
    cells, uncounted = cost_cells(loaded)
    say_uncounted(uncounted, say)
    refuse_what_cannot_fit(cells, loaded, here=False)
    store_there = jobs.store_for(loaded, store)
    client = job_server.connect(address)
    if check:
        typer.echo(
            f"nothing was submitted: the sweep '{loaded.name}' is in order (trials:"
            f" {len(loaded.trials)}), {address} answers, and rows would go to {store_there}, which"
            " only the job can try"
        )
        return

    same_command = shlex.split(how_to_go_on(sys.argv))
    code = launch_sweep(
        client,
        address,
        loaded,
        refs,
        store_there,
        retry_failed,
        detach,
        how_to_follow=shlex.join(a for a in same_command if a != "--detach"),
        write=lambda text: typer.echo(text, nl=False),
        say=say,
    )
    raise typer.Exit(code)


def cancel(job: JobArgument, address: JobServer) -> None:
    """Stop a job that `launch` started. What it has finished stays, and `launch` goes on from
    there."""
    from harness.dispatch import job_server, jobs

    typer.echo(jobs.cancel(job_server.connect(address), job))
