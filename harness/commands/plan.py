"""`unilaw plan`: what a sweep would cost."""

import json

import typer

from harness.commands.task_files import refs_of
from harness.terminal.options import AllCells, AsJson, SweepArgument, TaskFile
from harness.terminal.streams import say


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

    loaded = load_sweep(sweep, refs_of(task_file), say)
    costs = make_plan(loaded, say)
    if as_json:
        cells = [cell._asdict() for cell in costs.cells]
        typer.echo(json.dumps({**costs._asdict(), "cells": cells}, indent=1))
    else:
        typer.echo(plan_table(costs, every_cell))
