"""Trials that fit labelled samples: a stack of them from data to measured columns, with every
failure caught and named."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.errors import TrialFailure
from harness.execution.failures import (
    PASSED_ON,
    caught,
    failure,
    message_of,
    refuse_infinite_loss,
    text,
)
from harness.execution.frontier_trials import searched, verified
from harness.execution.kept_data import KeptData
from harness.execution.model_weights import initialised, kept_weights, weights_file
from harness.execution.prepared import Prepared
from harness.execution.row_columns import (
    model_columns,
    noise_columns,
    radius_law_columns,
    timing_columns,
)
from harness.execution.trial_result import TrialResult
from harness.interruption import postponed
from harness.measures import Measured, measure
from harness.measures.counts import count_training_flops
from harness.planning.model_shape import shape_of
from harness.process_state import own_process_state
from harness.store.schema import Columns
from harness.sweeps.registry import load_samples
from harness.sweeps.trial import RunSettings, Trial, refuse_other_data
from harness.task import Seeds, check_dimensions
from harness.training.adversary import adversary_of, count_pass_flops
from harness.training.checkpoint import TrialCheckpoint
from harness.training.frontier_plan import search_of, search_seeds
from harness.training.loop import Fit, StackGroup, train
from harness.training.stack import CannotStack, Program, stack

LONGEST_NOTE = 500
"""Characters of a `stack_note` that a row keeps."""

_KEPT = KeptData()


class SampleTrials:
    """Trains and measures the trials of one stack on one device."""

    def __init__(self, settings: RunSettings, device: torch.device):
        self.settings = settings
        self.device = device

    def run(self, trials: tuple[Trial, ...]) -> list[TrialResult]:
        """Return each trial's result, in order. What fails for one trial alone (its data, its
        model, its loss) fails only that one."""
        prepared, results = _prepare_each(trials, self._prepared_to_train)

        for indices in _stacks(prepared):
            stack_results = self._run_stack([prepared[i] for i in indices])
            results |= zip(indices, stack_results, strict=True)
        return [results[i] for i in range(len(trials))]

    def measure_again(self, trials: tuple[Trial, ...], trained: str) -> list[TrialResult]:
        """Measure the kept weights of each trial. The columns are the measured ones, the hashes of
        the data and of the weights, and seconds."""

        checksums: dict[str, str] = {}

        def restored(trial: Trial) -> Prepared:
            prepared = self._prepare(trial)
            weights = kept_weights(trained, trial.trial_id)
            checksums[trial.trial_id] = weights.sha256
            prepared.model.load_state_dict(weights.tensors)
            return prepared

        prepared, results = _prepare_each(trials, restored)

        clock = time.perf_counter()
        measured = self._measure_or_fail(list(prepared.values()))
        seconds = (time.perf_counter() - clock) / max(1, len(prepared))

        for (i, member), found in zip(prepared.items(), measured, strict=True):
            if isinstance(found, TrialResult):
                results[i] = found
                continue
            about_trial = {
                "data_hash": member.data_hash,
                "weights_sha256": checksums[member.trial.trial_id],
                "measure_s": seconds,
            }
            results[i] = caught(_measured_again, found, about_trial)
        return [results[i] for i in range(len(trials))]

    def _prepared_to_train(self, trial: Trial) -> Prepared:
        refuse_other_data(trial)
        return self._prepare(trial)

    def _prepare(self, trial: Trial) -> Prepared:
        task = load_samples(trial.ref)
        config = trial.load_config()
        check_dimensions(task.input_shape(config), task.d_ambient(config))
        seeds = Seeds(trial.seed)
        data, data_hash = _KEPT.of(trial.ref, config, trial.seed, self.device)
        model = initialised(task, config, search_seeds(config, seeds)).to(self.device)
        return Prepared(trial, task, config, seeds, data, data_hash, model)

    def _run_stack(self, members: list[Prepared]) -> list[TrialResult]:
        """Train and measure trials as one program; when that fails, each by itself."""
        try:
            return self._train_and_measure(_stacked(members), members, note=None)
        except PASSED_ON:
            raise
        except BaseException as e:
            if len(members) == 1:
                return [failure(e)]
            why = message_of(e)
            if not isinstance(e, CannotStack):
                why = f"{type(e).__name__}: {why}"

        # After the except clause, whose traceback holds the failed stack in memory.
        note = text(why)[:LONGEST_NOTE]
        return [caught(self._run_alone, member.trial, note) for member in members]

    def _run_alone(self, trial: Trial, note: str) -> TrialResult:
        """Run a trial alone, from the beginning, after its stack failed."""
        members = [self._prepare(trial)]
        (result,) = self._train_and_measure(_stacked(members), members, note)
        return result

    @own_process_state()
    def _train_and_measure(
        self, program: Program, members: list[Prepared], note: str | None
    ) -> list[TrialResult]:
        clock = time.perf_counter()
        fits, resumed_epoch = self._train(program, members)
        train_s = time.perf_counter() - clock

        clock = time.perf_counter()
        fitted = [m for m, fit in enumerate(fits) if isinstance(fit, Fit)]
        measured = dict(zip(fitted, self._measure([members[m] for m in fitted]), strict=True))
        measure_s = time.perf_counter() - clock

        epochs = sum(fit.epochs for fit in fits if isinstance(fit, Fit))
        results = []
        for m, (member, fit) in enumerate(zip(members, fits, strict=True)):
            if isinstance(fit, TrialFailure):
                results.append(failure(fit))
                continue
            about_stack = {
                "stack_size": len(members),
                "stack_note": note,
                "resumed_epoch": resumed_epoch,
                **timing_columns(train_s * fit.epochs / epochs, measure_s / len(fitted)),
            }
            results.append(caught(self._result, member, fit, measured[m], about_stack))
        return results

    def _train(
        self, program: Program, members: list[Prepared]
    ) -> tuple[Sequence[Fit | TrialFailure], int | None]:
        """Return each trial's fit, and the epoch of the checkpoint that training went on from."""
        if members[0].config.frontier:
            return searched(members), None

        groups = [
            StackGroup(
                member.data,
                member.seeds.generator("order"),
                member.config.lr,
                member.seeds.generator("adversary") if member.config.adversary else None,
            )
            for member in members
        ]
        models_per_group = sum(_group_key(m) == _group_key(members[0]) for m in members)

        checkpoint = None
        if len(members) == 1:
            checkpoint = TrialCheckpoint.at(self.settings.checkpoints, members[0].trial)
        begin = checkpoint.load(self.device) if checkpoint else None

        with torch.random.fork_rng(devices=[]), postponed(checkpoint is not None):
            # The first trial's stream stands for all: modules that draw in training never share a
            # stack.
            torch.default_generator.manual_seed(members[0].seeds.stream("dropout"))
            fits = train(
                program,
                groups[::models_per_group],
                [member.config for member in members],
                begin,
                checkpoint.save if checkpoint else lambda _: None,
            )
        return fits, begin.epoch if begin else None

    @own_process_state()
    def _measure(self, members: list[Prepared]) -> list[Measured]:
        """Measure trained models as one stack, or one by one where training has made a stack
        impossible."""
        if not members:
            return []
        try:
            program = _stacked(members)
        except CannotStack:
            return [self._measure_one(member) for member in members]
        samples = [member.data for member in members]
        seeds = [member.seeds for member in members]
        return measure(program, samples, seeds, self.settings.measure_points)

    def _measure_one(self, prepared: Prepared) -> Measured:
        (measured,) = self._measure([prepared])
        return measured

    def _measure_or_fail(self, members: list[Prepared]) -> Sequence[Measured | TrialResult]:
        """Measure trained models together; when that fails, each by itself, so that a model that
        cannot be measured costs only its own trial."""
        try:
            return self._measure(members)
        except PASSED_ON:
            raise
        except BaseException:
            pass
        return [caught(self._measure_one, member) for member in members]

    def _result(
        self, prepared: Prepared, fit: Fit, measured: Measured, about_stack: Columns
    ) -> TrialResult:
        """Return the result of a trained and measured trial. Raises TrialFailure when its held-out
        loss is not finite."""
        refuse_infinite_loss(measured.columns)
        columns = _columns(prepared, fit, measured.columns) | about_stack
        if fit.frontier:
            columns |= verified(prepared, fit.frontier, columns)
        weights = weights_file(prepared.model, self.settings.weights_bytes)
        return TrialResult(columns, weights, measured.pictures)


def _prepare_each(
    trials: tuple[Trial, ...], step: Callable[[Trial], Prepared]
) -> tuple[dict[int, Prepared], dict[int, TrialResult]]:
    """Prepare each trial. Both dictionaries are by position: the trials that are ready, and the
    failures of those that are not."""
    prepared: dict[int, Prepared] = {}
    failures: dict[int, TrialResult] = {}
    for i, trial in enumerate(trials):
        one = caught(step, trial)
        if isinstance(one, TrialResult):
            failures[i] = one
        else:
            prepared[i] = one
    return prepared, failures


def _stacked(members: list[Prepared]) -> Program:
    """Return the models as one program. Raises CannotStack."""
    return stack([member.model for member in members], members[0].data.x_train[:4])


def _group_key(prepared: Prepared) -> tuple[Any, ...]:
    """Models with equal keys see the same samples in the same order at the same learning rate,
    against the same adversary, or in the same search."""
    return (
        id(prepared.data),
        prepared.trial.seed,
        prepared.config.lr,
        prepared.config.samples_per_step,
        adversary_of(prepared.config),
        search_of(prepared.config),
    )


def _stacks(prepared: dict[int, Prepared]) -> list[list[int]]:
    """Cut the trials into stacks, each a list of positions, group after group.

    If all groups have the same number of trials and the same kind of samples, they form one stack.
    Otherwise each group is a stack of its own.
    """
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, one in prepared.items():
        groups.setdefault(_group_key(one), []).append(i)

    kinds = set()
    for positions in groups.values():
        first = prepared[positions[0]]
        data = first.data
        training = _group_key(first)[-3:]
        kinds.add((len(positions), data.x_train.shape, data.classes, data.box, training))

    if len(kinds) == 1:
        return [[i for positions in groups.values() for i in positions]]
    return list(groups.values())


def _measured_again(measured: Measured, about_trial: Columns) -> TrialResult:
    refuse_infinite_loss(measured.columns)
    columns = {"status": "ok", **measured.columns, **about_trial}
    return TrialResult(columns, pictures=measured.pictures)


def _columns(prepared: Prepared, fit: Fit, measured: Columns) -> Columns:
    task = prepared.task
    config = prepared.config
    data = prepared.data
    noise = data.noise
    outputs = 1 if data.classes is None else data.classes
    size = model_columns(task, config, prepared.model, outputs, measured)
    reached = fit.loss if data.classes is None else fit.error
    on_sphere = data.manifold == "unit-sphere"
    radius_law = {}
    if on_sphere:
        of_law = (noise, size["p"], config.n, size["d_ambient"], data.unit())
        radius_law = radius_law_columns(*of_law)
    return {
        "status": "ok",
        **measured,
        **size,
        **noise_columns(noise, config.n, on_sphere),
        **radius_law,
        "tokens_seen": config.n * fit.epochs,
        "stop_rule": config.stop,
        "stop_reason": fit.stop_reason,
        "below_noise": noise.epsilon > 0 and reached <= noise.level - noise.epsilon,
        "below_bayes_error": noise.bayes_error > 0 and fit.error <= noise.bayes_error / 2,
        "epochs": fit.epochs,
        "steps": fit.steps,
        "train_loss": fit.loss,
        "train_error": fit.error,
        "flops": float(_flops_per_sample(prepared) * config.n * fit.epochs),
        "flops_6nd": 6.0 * size["p"] * config.n * fit.epochs,
        "data_hash": prepared.data_hash,
    }


def _flops_per_sample(prepared: Prepared) -> int:
    """Return the FLOPs that one sample costs in one epoch. They are counted once per shape of
    model, or on the model itself where it cannot be built without its data."""
    config = prepared.config
    try:
        return shape_of(prepared.trial.ref, config).training_flops(config)
    except Exception:
        shape = prepared.task.input_shape(config)
        flops = count_training_flops(prepared.model, shape)
        if config.adversary_passes:
            flops += config.adversary_passes * count_pass_flops(prepared.model, shape)
        return flops
