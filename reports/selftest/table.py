"""Show the lines of a self-test: a table for the terminal, JSON, and a page for docs."""

import io
import json

from rich.console import Console
from rich.table import Table

from reports.selftest.judge import INTERVAL
from reports.selftest.lines import Line

HEAD = ("design", "planted", "question", "right", "cannot tell", "wrong", "power", "")
WIDTH = 150


def as_table(sums: list[Line]) -> str:
    """Return the sums over kinds as text."""
    table = Table(*HEAD, box=None, pad_edge=False)
    for line in sums:
        table.add_row(*_texts(line))
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(table)
    return "\n".join(row.rstrip() for row in out.getvalue().splitlines())


def as_json(lines: list[Line], said: str) -> str:
    """Return every line with the kinds apart, and the conclusion, as JSON."""
    return json.dumps({"conclusion": said, "lines": [line._asdict() for line in lines]}, indent=1)


def as_page(sums: list[Line], said: str, command: str, rules: str) -> str:
    """Return the page for docs, in Markdown. rules: the version of the rules that judged."""
    rows = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    rows += ["| " + " | ".join(_texts(line)) + " |" for line in sums]
    table = "\n".join(rows)
    return PAGE.format(said=said, command=command, rules=rules, table=table)


def _texts(line: Line) -> tuple[str, ...]:
    """Return the cells of a line's row."""
    shares = [f"{line.share(count):.0%}" for count in (line.right, line.open, line.wrong)]
    if line.question == INTERVAL:
        shares[1] = ""
    power = "" if line.power is None else f"{line.power:.0%}"
    design = f"{line.design}, rough" if line.rough else line.design
    return (design, line.truth, line.question, *shares, power, line.broken)


PAGE = """\
# Self-test

`unilaw selftest` plants known truths in simulated stores and counts how often the report states
them. This page was written by

    {command}

with the verdict rules of version {rules}. {said}

- **Designs** are the cells of the shipped sweeps: sizes, n, d and seeds, with the spreads of
  slopes, cells and seeds measured in the example stores and in the quickstart's sphere trials
  (`reports/selftest/designs.py`).
- **Rough** designs lose 2 % of their trials and begin 30 % of their curves one size later. Small
  models scatter twice as much, seeds move together along a curve by half as much again, and 2 % of
  the trials are off by half a log unit.
- **Each store** is written as Parquet and read through the report's own filters.
- **Right**: the interval holds the planted slope, or the verdict is the one that the truth calls
  for. **Cannot tell**: the report says so. **Wrong**: the verdict contradicts the truth.
- **Power**: how often an analyst who knows the relative spreads would give the right answer from
  the same cells: for law and collapse by generalised least squares with t intervals; for a knee,
  how often the most powerful test tells it from the nearest other form. A right answer is demanded
  only where that is at least 94.5 %, since a 95 % interval misses 5 % by design.
- **Why this analyst**: it is the most powerful one that keeps its error rate on the planted truths
  (`python -m tests.benchmarks.selftest_reference`: 4.8 to 5.2 % in every kind). The mean of the
  curves with equal say, as in the report, errs in 3.1 to 5.2 % and is weaker where curves differ in
  precision: it tells the law's order in 39 % of gpt-law-noise's kinds with noise and 86 % of
  mnist-law-60k's, against 58 % and 93 %. With the scale known as well, a normal interval would err
  in 13 to 30 % where slopes spread twice as far. The weights rest on the spread of slopes, too: at
  twice the spread the t interval errs in up to 6.5 %, equal say in at most 5.1 %. So what the
  report loses against the power is the price of equal say, which needs to know no spread.
- **Stated rates**: coverage at least 90 %, wrong answers at most 5 %, right answers at least 95 %
  where the design has the power. The last column names a rate that is broken: a count that would be
  as bad in less than one run in a thousand at the stated rate.
- **Few draws** show gross faults only: of 8 answers 4 must be wrong before a stated 5 % counts as
  broken, of 200 answers 22.

{table}
"""
