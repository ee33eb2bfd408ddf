"""`unilaw measure`: kept weights, measured with today's instruments."""

import typer

from harness.commands.task_files import refs_of
from harness.exit_codes import ExitCode
from harness.interruption import exit_code
from harness.terminal.counts import by_kind
from harness.terminal.options import (
    Again,
    Cpus,
    Gpus,
    Inline,
    Points,
    Quiet,
    RayAddress,
    ReadSources,
    StoreArgument,
    TaskFile,
)
from harness.terminal.streams import say


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
    quiet: Quiet = False,
) -> None:
    """Measure kept weights with today's instruments; nothing is trained again. Exits with 1 when
    some could not be measured."""
    from harness.terminal.progress import Progress

    progress = Progress(quiet=quiet)
    progress.loading(f"reading {store}")
    try:
        from harness.remeasure import remeasure
        from harness.store.store import Store
        from harness.terminal.refusals import measuring_resources, refuse_inline_on_a_cluster

        refuse_inline_on_a_cluster(inline, address)
        resources = measuring_resources(cpus, gpus, address)
        Store.open(store)  # refuses what is no store, which create() would make into one
        outcome = remeasure(
            Store.create(store),
            refs_of(task_file),
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
        say(  # also with --quiet: it is what ends the command
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
