"""The first screen: the question, the answer for each kind of data, how sure it is, what was not
tested, and how to run it again."""

from base64 import b64encode
from datetime import datetime
from typing import NamedTuple

import harness
from reports.answer import answers, growth_numbers
from reports.evidence import Evidence
from reports.fit_numbers import slope_numbers
from reports.headline import headline
from reports.law import Fits
from reports.mailable import mailable
from reports.measures import STABILITY
from reports.numbers import Sentence
from reports.rerun import file_stems
from reports.sections.answer_choices import offered, style, told_by_choice
from reports.sections.attack_checks import check_attacks
from reports.sections.counts import count_trials
from reports.sections.data_sources import data_sources
from reports.sections.how_sure import how_sure
from reports.sections.quantities import measured
from reports.sections.section import Section, fill
from reports.sections.slopes import slopes_chart
from reports.sections.untested import untested
from reports.sweep_texts import without_store


class SweepFile(NamedTuple):
    """A sweep file to download. `command` runs it; `task_file` is the file name of its task's code,
    empty without any."""

    name: str
    address: str
    command: str
    task_file: str


def section(evidence: Evidence, fits: Fits) -> Section:
    counts = count_trials(evidence)
    found = answers(evidence, fits)
    said = headline(fits)
    sure = how_sure(evidence, fits)
    missing = untested(evidence, fits)
    attacks = check_attacks(evidence)

    quantities = measured(evidence, fits)
    chart = slopes_chart(evidence, fits, quantities)
    figures = {"slopes": chart} if chart is not None else {}
    told = told_by_choice(evidence, fits, quantities) if chart is not None else []
    kinds = offered(fits, found)

    html = fill(
        "header.html.j2",
        title=page_title(evidence),
        date=page_date(evidence),
        counts=counts,
        headline=said,
        answers=found,
        told=told,
        kinds=kinds,
        scale=_scale(fits),
        sure=sure,
        untested=missing,
        figures=figures,
        sweeps=sweep_files(evidence),
        sources=data_sources(evidence),
        cost=_cost(evidence),
        attacks=attacks,
        problems=evidence.problems,
    )
    sentences = [said, *sure, *missing, *(own.sentence for own in told)]
    numbers = [*counts.values(), *attacks.numbers()]
    for part in found:
        numbers += part.numbers()
    numbers += [number for sentence in sentences for number in sentence.numbers()]
    shown = style(kinds, [own.quantity for own in quantities] if figures else [])
    return Section("answer", "The answer", html, numbers, figures, shown)


def _scale(fits: Fits) -> Sentence:
    """Return what a power means, by the steepest slope of the picture; empty without one."""
    judged = [fit for fit in fits.kinds if fit.judged]
    if not judged:
        return Sentence("")
    steepest = max(judged, key=lambda fit: fit.stability.slope)
    parts = {
        "power": slope_numbers(f"law:{steepest.kind}:{STABILITY}", steepest.stability, STABILITY)[
            "b"
        ],
        "growth": growth_numbers(steepest)["growth"],
    }
    text = "In stability, {power} is {growth} more for ten times the parameters p."
    if steepest.stability.slope < 0:
        text = "In stability, {power} is a change by {growth} for ten times the parameters p."
    return Sentence(text, parts)


def _cost(evidence: Evidence) -> str:
    """Return what is known of the code and the time behind the rows, in words."""
    commits = evidence.all_trials["commit"].dropna().astype(str).str[:12].unique()
    told = f"Needs the Python program unilaw {harness.__version__}"
    if len(commits) == 1:
        told += f" (rows by code commit {commits[0]})"
    seconds = sum(run.seconds for run in evidence.runs)
    if seconds:
        told += f"; the original run took {_duration(seconds)}"
    processors = [
        *evidence.all_trials["cpu"].dropna().unique(),
        *evidence.all_trials["gpu"].dropna().unique(),
    ]
    if seconds and len(processors) == 1:
        told += f" on {processors[0]}"
    return f"{told}."


def _duration(seconds: float) -> str:
    """Return such as "45 s", "7 min", "2 h 10 min" or "5 d 3 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 24:
        days, hours = divmod(round(seconds / 3600), 24)
        return f"{days} d {hours} h" if hours else f"{days} d"
    pieces = [f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min")) if count]
    return " ".join(pieces)


def page_title(evidence: Evidence) -> str:
    """Return the names of the store's sweeps, or the store's own name when there is none."""
    names = sorted({sweep.name for sweep in evidence.sweeps}) or [evidence.store.name]
    return ", ".join(names)


def page_date(evidence: Evidence) -> str:
    """Return the day on which the newest finished trial ended, empty without one."""
    newest: datetime | None = evidence.all_trials["finished_at"].max()
    return "" if evidence.all_trials.empty else f"{newest:%-d %B %Y}"


def sweep_files(evidence: Evidence) -> list[SweepFile]:
    """Return the store's sweep files, without places of their maker, by name."""
    named: dict[str, SweepFile] = {}
    for stem, sweep in zip(file_stems(evidence.sweeps), evidence.sweeps, strict=True):
        name = f"{stem}.yaml"
        text = mailable(without_store(sweep.text), *evidence.stores.values())
        address = f"data:application/yaml;base64,{b64encode(text.encode()).decode()}"
        task_file = f"{stem}.py" if sweep.task_source is not None else ""
        command = f"unilaw run {name}" + (f" --task-file {task_file}" if task_file else "")
        named[name] = SweepFile(name, address, command, task_file)
    return [named[name] for name in sorted(named)]
