"""From a store to the sweep file of its next trials: ask, list the moves, cost them, choose."""

import re
import shlex
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.commands.budgets import FLOP, SECONDS, amount_and_unit
from harness.errors import UserError
from harness.planning.candidates import Candidate, allowed, costs, sweep_text
from harness.planning.devices import processor
from harness.planning.machine_speed import SMALL_MACHINE, calibrated
from harness.store.records import SWEEP_NAME, SweepRecord
from harness.sweeps.registry import TaskRef
from harness.sweeps.yaml_lines import parse_document

if TYPE_CHECKING:
    from reports.suggest.moves import Move
    from reports.suggest.question import Question
    from reports.suggest.search_seconds import SearchSeconds
    from reports.suggest.suggestion import Costed, Suggestion


def suggested_sweep(
    store: str,
    exponent: str,
    budget: str,
    from_file: dict[str, TaskRef],
    read_sources: bool,
    say: Callable[[str], None],
) -> str:
    """Return the text of the sweep file. Raise UserError for an exponent, a budget or a store that
    no choice can be made for."""
    from reports.evidence import read_evidence
    from reports.frontier_answer import FrontierFit
    from reports.suggest.moves import grid_field, moves
    from reports.suggest.question import ask
    from reports.suggest.search_seconds import SearchSeconds
    from reports.suggest.suggestion import suggest

    amount, unit = budget_of(budget)
    evidence = read_evidence(store)
    question = ask(evidence, exponent)
    seeds = _seeds(question)
    limits, resources = _settings(evidence.sweeps, question)

    # Searches have rows that say what they take, so no machine is timed for them.
    searched = isinstance(question.fit, FrontierFit)
    seconds = SearchSeconds.of(question.rows) if searched else None
    calibration = SMALL_MACHINE if searched else calibrated(processor(1), say)
    found = moves(question)
    say(f"costing {len(found)} moves")

    grid = grid_field(question)
    costed = []
    entries_of = []  # of each costed move
    for move in found:
        checked = [allowed(move.task, config, from_file, read_sources) for config in move.cells]
        fields = [own for own in checked if own is not None]
        if len(fields) < len(move.cells):
            continue
        counted = costs(move.task, fields, seeds, limits, calibration, from_file)
        if own := _costed(move, counted, unit, seconds):
            costed.append(own)
            cells = zip(fields, move.cells, strict=True)
            entries_of.append([own | {grid: config[grid]} for own, config in cells])
    chosen = suggest(question, costed, amount, len(seeds), unit)
    if not chosen.chosen:
        raise UserError(f"--budget {budget}: no move that it pays for narrows '{exponent}'")

    entries = [entry for move in chosen.chosen for entry in entries_of[costed.index(move)]]
    head = _comments(store, question, chosen, (budget, unit), len(entries) * len(seeds))
    task = found[0].task
    return head + sweep_text(_name(store), task, entries, seeds, limits, resources, grid)


def budget_of(text: str) -> tuple[float, str]:
    """Return a budget as seconds or FLOPs, with its unit. Raise UserError for another text."""
    amount, unit = amount_and_unit(text)
    if not unit:
        raise UserError(
            f"--budget {text[:60]!r}: must be a positive number with its unit, s, min, h, d or"
            " FLOP, as in 2h or 1e18FLOP"
        )
    return (amount, FLOP) if unit == FLOP else (amount * SECONDS[unit], "s")


def _seeds(question: "Question") -> list[int]:
    """Return the seeds of most cells: 0, 1, … up to their number."""
    counts = Counter(len(own) for _, own in question.rows.groupby("config_json"))
    return list(range(counts.most_common(1)[0][0]))


def _settings(
    sweeps: list[SweepRecord], question: "Question"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return limits and resources of the newest sweep that has trials of the question."""
    asked = set(question.rows["trial_id"])
    for sweep in reversed(sweeps):
        if asked & sweep.trials.keys():
            read = parse_document(sweep.text, f"the store's sweep {sweep.name}").value
            return read.get("limits") or {}, read.get("resources") or {}
    return {}, {}


def _costed(
    move: "Move", counted: list[Candidate | None], unit: str, searches: "SearchSeconds | None"
) -> "Costed | None":
    """Return the move with what its cells cost, or None where one of them cannot be counted.
    searches: what searches took, where the cells are searched."""
    from reports.suggest.suggestion import Costed

    cells = [own for own in counted if own is not None]
    if len(cells) < len(counted):
        return None
    if unit == "FLOP":
        cost = sum(own.flops for own in cells)
    elif searches is not None:
        of_cells = [own.cell for own in cells]
        cost = sum(c.seeds * searches.of_one(c.p, c.n, c.d_ambient) for c in of_cells)
    else:
        cost = sum(own.seconds for own in cells)
    sizes = tuple(own.cell.p for own in cells)
    tokens = tuple(float(own.cell.tokens_seen_at_most) for own in cells)
    return Costed(move, sizes, tokens, tuple(own.cell.d_ambient for own in cells), cost)


def _comments(
    store: str, question: "Question", chosen: "Suggestion", budget: tuple[str, str], trials: int
) -> str:
    """Return the comments at the head of the sweep file, which say what it is for."""
    from reports.frontier_answer import FrontierFit

    asked, unit = budget
    searched = isinstance(question.fit, FrontierFit)
    by = (
        ", if searches run in turn and take what the store's took"
        if searched and unit == "s"
        else ""
    )
    lines = [
        f"narrows {question.exponent}: {question.value:+.3f}, 95 % ± {question.half_width:.3f} in"
        " the report",
        f"expected half-width by the fitted model: {chosen.before:.3f} now, {chosen.after:.3f} with"
        f" these {trials} trials",
        f"predicted cost: {chosen.cost:.3g} {unit} of {asked}{by}",
        f"unilaw plan THIS, then unilaw run THIS --store {shlex.quote(store)}",
    ]
    return "".join(f"# {' '.join(line.splitlines())}\n" for line in lines)


def _name(store: str) -> str:
    """Return a name for the sweep, after its store."""
    last = store.rstrip("/").rpartition("/")[2].lower()
    name = f"next-{re.sub(r'[^a-z0-9_-]', '-', last)}"[:64]
    assert re.fullmatch(SWEEP_NAME, name)
    return name
