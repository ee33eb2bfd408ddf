"""What a trial may not do to a process that it shares with the run itself (`--inline`)."""

import contextlib
import os
from collections.abc import Iterator
from typing import NoReturn

from harness.errors import TrialFailure


@contextlib.contextmanager
def without_exit() -> Iterator[None]:
    """Have `os._exit` fail the trial that calls it: it would end the run with the trial's own exit
    code and without a row. A child process that a trial forks may end itself."""
    really_exit = os._exit
    shared = os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != shared:
            really_exit(status)
        raise TrialFailure(
            "crash", f"the trial called os._exit({status}), and --inline shares its process"
        )

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = really_exit
