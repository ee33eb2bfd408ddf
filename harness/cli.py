"""The `unilaw` command: the list of its subcommands. Each is a function of `harness/commands/`.

A command imports the rest of the engine inside its function, so that `--help` stays quick.
"""

import os
import sys

import typer

import harness
from harness.commands.check import check
from harness.commands.compact import compact
from harness.commands.fit import fit
from harness.commands.launch import cancel, launch
from harness.commands.measure import measure
from harness.commands.new_task import new_task
from harness.commands.plan import plan
from harness.commands.report import report
from harness.commands.run import run
from harness.commands.schema import schema
from harness.commands.selftest import selftest
from harness.commands.status import status
from harness.commands.suggest import suggest
from harness.commands.sweeps import sweeps
from harness.commands.tasks import tasks
from harness.commands.track import share, track
from harness.errors import UserError
from harness.exit_codes import ExitCode
from harness.terminal.options import Version
from harness.terminal.streams import prepare_streams, say

app = typer.Typer(
    name="unilaw",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def unilaw(
    version: Version = False,
) -> None:
    """Scaling-law benchmark harness for the universal law of robustness."""


# In the order of `unilaw --help`
app.add_typer(sweeps, name="sweeps")
app.command()(tasks)
app.command()(check)
app.command()(new_task)
app.command()(plan)
app.command()(run)
app.command()(launch)
app.command()(cancel)
app.command()(measure)
app.command()(status)
app.command()(report)
app.command()(suggest)
app.command()(fit)
app.command()(selftest)
app.command()(compact)
app.command()(track)
app.command()(share)
app.command()(schema)


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
