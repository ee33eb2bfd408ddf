"""Trials that search for the most robust fit in place of one training."""

import time
from collections.abc import Sequence

from harness.execution.prepared import Prepared
from harness.execution.row_columns import timing_columns
from harness.measures.frontier_columns import frontier_columns, refuse_impossible
from harness.store.schema import Columns
from harness.training.alone import Alone
from harness.training.evaluation import evaluate
from harness.training.frontier import Frontier, most_robust_fits
from harness.training.frontier_plan import search_seeds
from harness.training.loop import Fit


def searched(members: Sequence[Prepared]) -> list[Fit]:
    """Search each trial's most robust fit, and leave it in the trial's model."""
    found = most_robust_fits(
        [member.model for member in members],
        [member.data for member in members],
        [member.config for member in members],
        [search_seeds(member.config, member.seeds) for member in members],
    )
    fits = []
    for member, frontier in zip(members, found, strict=True):
        member.model.load_state_dict(frontier.best.model.state_dict())
        (at_end,) = evaluate(Alone(member.model), [member.data])
        steps = frontier.epochs * member.config.steps_per_epoch
        samples = frontier.epochs * member.config.n
        fits.append(
            Fit(
                at_end.loss,
                at_end.error,
                frontier.epochs,
                steps,
                samples,
                "epoch_cap",
                frontier,
            )
        )
    return fits


def verified(prepared: Prepared, frontier: Frontier, columns: Columns) -> Columns:
    """Return the columns of a search, with the seconds of its verification added to those of
    measuring. Raises TrialFailure where no model can be so robust."""
    config = prepared.config
    clock = time.perf_counter()
    seeds = search_seeds(config, prepared.seeds)
    found = frontier_columns(frontier, prepared.data, seeds, config.evaluated_together)
    refuse_impossible(columns | found, config.n)

    measure_s = columns["measure_s"] + time.perf_counter() - clock
    return found | timing_columns(columns["train_s"], measure_s)
