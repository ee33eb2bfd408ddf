"""The first screen: the question, the answer for each kind of data, how sure it is, what was not
tested, and how to run it again."""

from base64 import b64encode
from datetime import datetime
from typing import NamedTuple

from reports.answer import answers
from reports.evidence import Evidence
from reports.law import Fits
from reports.mailable import mailable
from reports.numbers import Number, Sentence
from reports.rerun import file_stems
from reports.sections.attack_checks import check_attacks
from reports.sections.counts import count_trials
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
    sure = how_sure(fits)
    missing = untested(evidence, fits)
    chart = slopes_chart(evidence, fits)
    figures = {"slopes": chart} if chart is not None else {}
    attacks = check_attacks(evidence)

    html = fill(
        "header.html.j2",
        title=page_title(evidence),
        date=page_date(evidence),
        counts=counts,
        answers=found,
        sure=sure,
        untested=missing,
        figures=figures,
        sweeps=sweep_files(evidence),
        attacks=attacks,
        problems=evidence.problems,
    )
    numbers = [*counts.values(), *attacks.numbers(), *sure.numbers()]
    for part in found:
        numbers += part.numbers()
    numbers += [number for sentence in missing for number in sentence.numbers()]
    return Section("answer", "The answer", html, numbers, figures)


def page_title(evidence: Evidence) -> str:
    """Return the names of the store's sweeps, or the store's own name when there is none."""
    names = sorted({sweep.name for sweep in evidence.sweeps}) or [evidence.store.name]
    return ", ".join(names)


def page_date(evidence: Evidence) -> str:
    """Return the day on which the newest finished trial ended, empty without one."""
    newest: datetime | None = evidence.all_trials["finished_at"].max()
    return "" if evidence.all_trials.empty else f"{newest:%-d %B %Y}"


def how_sure(fits: Fits) -> Sentence:
    """Say what the intervals of the judged kinds rest on."""
    judged = [fit for fit in fits.kinds if fit.judged]
    if not judged:
        return Sentence("No slope of plain training is judged by the law here.")

    used = tuple(trial for fit in judged for trial in fit.stability.trials)

    def number(name: str, value: float, how: str) -> Number:
        return Number(f"answer:sure:{name}", value, f"{how}, judged kinds", used, "int")

    parts = {
        "trials": number("trials", len(used), "trials that enter the stability fits"),
        "cells": number("cells", sum(f.stability.cells for f in judged), "cells"),
        "curves": number("curves", sum(f.stability.curves for f in judged), "curves"),
        "kinds": number("kinds", len(judged), "kinds"),
        "pooled": number("pooled", sum(f.stability.pooled for f in judged), "kinds with `pooled`"),
        "flips": number(
            "flips", sum(bool(f.verdicts["stability_attack_mean"].flips) for f in judged), "flips"
        ),
    }
    text = "The ranges in brackets are 95 % intervals, from {trials} trials on {curves} curves."
    if parts["pooled"].value:
        text += (
            " For {pooled} of {kinds} kinds there are too few curves, and the spread between curves"
            " is borrowed from all kinds."
        )
    text += " The verdict hangs on which sizes enter for {flips} of {kinds} kinds."
    return Sentence(text, parts)


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
