"""`unilaw plan`: what a sweep would cost."""

import json
from typing import Annotated

import typer

from harness.commands.task_files import refs_of
from harness.terminal.options import AllCells, AsJson, SweepArgument, TaskFile, of_text

StoreToCompare = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="STORE", help="Also say what this store has already.", callback=of_text
    ),
]


def plan(
    sweep: SweepArgument,
    as_json: AsJson = False,
    every_cell: AllCells = False,
    task_file: TaskFile = None,
    store: StoreToCompare = None,
) -> None:
    """Every cell's cost before anything runs."""
    from harness.terminal.progress import Progress

    progress = Progress()
    progress.loading(f"reading {sweep}")
    try:
        from harness.planning.plan import plan as make_plan
        from harness.store.store import Store
        from harness.sweeps.sweep import load_sweep
        from harness.terminal.in_store import outcomes, outcomes_line
        from harness.terminal.listing import plan_table

        opened = None if store is None else Store.open(store)
        loaded = load_sweep(sweep, refs_of(task_file), progress.say_before_the_run)
        costs = make_plan(loaded, progress.say_before_the_run)
        in_store = None
        if opened:
            in_store = outcomes(opened, [trial.trial_id for trial in loaded.trials])
    finally:
        progress.stop()

    if as_json:
        cells = [cell._asdict() for cell in costs.cells]
        typer.echo(json.dumps({**costs._asdict(), "cells": cells, "in_store": in_store}, indent=1))
        return
    typer.echo(plan_table(costs, every_cell))
    if opened and in_store:
        typer.echo(outcomes_line(opened, in_store))
