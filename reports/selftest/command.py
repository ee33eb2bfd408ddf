"""Run the self-test: `unilaw selftest [--draws N] [--only DESIGN]`.

Uses every core that this process may run on.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from harness.errors import UserError, did_you_mean
from harness.store.rules import RULES
from harness.store.user_files import refuse_file, write_over
from reports.selftest.designs import DESIGNS, Design
from reports.selftest.lines import TOO_WIDE, conclusion, coverage, lines_of, merged
from reports.selftest.reference import powers
from reports.selftest.simulate import plans, simulate
from reports.selftest.table import as_json, as_page, as_table
from reports.selftest.truths import TRUTHS


class Outcome(NamedTuple):
    """What a self-test found. broken: a stated rate is."""

    as_text: str
    as_json: str
    broken: bool


def selftest(
    draws: int, only: str | None, seed: int, page: Path | None, say: Callable[[str], None]
) -> Outcome:
    """Simulate `draws` stores for each design and truth, even and rough, and return the table.

    only: the name of one design. page: also write the table there, as Markdown. say: called with
    a line whenever another tenth is done. Raises UserError for a design that does not exist, and
    for a page that cannot be written.
    """
    designs = _named(only)
    if page is not None:
        refuse_file(page, "the page")
    planned = plans(designs, draws, seed)
    counts = simulate(planned, _cores(), _tenths(say))
    lines = lines_of(counts, powers(designs))
    sums = merged(lines)

    stores = 2 * draws * len(designs) * len(TRUTHS)
    said = conclusion(sums, stores, seed)
    if page is not None:
        command = f"unilaw selftest --draws {draws} --seed {seed}"
        if only is not None:
            command += f" --only {only}"
        rules = f"{RULES.version} ({RULES.since:%Y-%m-%d}, hash {RULES.hash})"
        text = as_page(sums, said, command, rules)
        write_over(page, text.encode(), "the page")

    broken = any(line.broken for line in sums) or coverage(sums) > TOO_WIDE
    return Outcome(f"{as_table(sums)}\n\n{said}", as_json(lines, said), broken)


def _named(only: str | None) -> tuple[Design, ...]:
    """Return the designs that are asked for. Raise UserError for an unknown name."""
    names = [design.name for design in DESIGNS]
    if only is None:
        return DESIGNS
    if only not in names:
        hint = did_you_mean(only, names)
        raise UserError(f"--only '{only}': is no design; allowed: {', '.join(names)}{hint}")
    return (DESIGNS[names.index(only)],)


def _cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone knows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tenths(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """Return a progress function that says every tenth once."""
    said = 0

    def progress(done: int, of: int) -> None:
        nonlocal said
        if 10 * done // of > said:
            said = 10 * done // of
            say(f"{10 * said} % of the stores simulated")

    return progress
