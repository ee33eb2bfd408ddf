"""Try every task that a file defines."""

from collections.abc import Iterator
from pathlib import Path

from harness.execution.language_task_check import checked_language
from harness.execution.sample_task_check import checked_samples
from harness.execution.task_check import Finding, users_traceback
from harness.language import LanguageTask
from harness.sweeps.registry import load, refs_in
from harness.sweeps.users_code import UsersCodeRaised


def check_file(file: Path) -> Iterator[tuple[str, list[Finding]]]:
    """Yield the name of each task and what the checks find; for a file that raises when it is run,
    the file's name and that alone.

    Raises UserError where the file cannot be read, and where what it defines is no task.
    """
    try:
        refs = refs_in(file, str(file))
    except UsersCodeRaised as e:
        yield str(file), [Finding("file", "✗", str(e), users_traceback(e, str(file)))]
        return

    for name, ref in sorted(refs.items()):
        of_language = isinstance(load(ref), LanguageTask)
        yield name, list(checked_language(ref) if of_language else checked_samples(ref))
