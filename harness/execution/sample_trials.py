"""Trials that fit labelled samples: stacks of them from data to measured columns, with every
failure caught and named."""

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

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
from harness.execution.measuring import measure_together
from harness.execution.model_weights import kept_weights, weights_file
from harness.execution.prepared import Prepared, prepare, prepare_each
from harness.execution.row_columns import (
    model_columns,
    noise_columns,
    radius_law_columns,
    timing_columns,
)
from harness.execution.stacked_trials import group_key, stacks_of, stacks_of_one_shape
from harness.execution.trial_result import TrialResult
from harness.interruption import postponed
from harness.measures import Measured
from harness.measures.counts import count_training_flops
from harness.planning.model_shape import shape_of
from harness.process_state import own_process_state
from harness.store.schema import Columns
from harness.sweeps.trial import RunSettings, Trial, refuse_other_data
from harness.training.adversary import count_pass_flops
from harness.training.checkpoint import TrialCheckpoint
from harness.training.device_generator import drawn_from
from harness.training.loop import Fit, StackGroup, train
from harness.training.program import for_training
from harness.training.stack import CannotStack, Program, stack

LONGEST_NOTE = 500
"""Characters of a `stack_note` that a row keeps."""

WAITING_BYTES = 1_000_000_000
"""Trained models wait to be measured with the others of their batch until they and their data hold
this much."""


class _Trained(NamedTuple):
    """A trained trial that waits to be measured, and the columns about its training and stack."""

    member: Prepared
    fit: Fit
    train_s: float
    about_stack: Columns


class SampleTrials:
    """Trains and measures the trials of some stacks on one device."""

    def __init__(self, settings: RunSettings, device: torch.device):
        self.settings = settings
        self.device = device

    def run(self, stacks: Sequence[tuple[Trial, ...]]) -> list[TrialResult]:
        """Return each trial's result, stack after stack. What fails for one trial alone (its data,
        its model, its loss, its measures) fails only that one.

        The trials of a stack train as one program. Trained models are measured together, also those
        of different stacks.
        """
        results: list[TrialResult] = []
        waiting: list[_Trained | TrialResult] = []
        for trials in stacks:
            waiting += self._train_stack(trials)
            if _bytes_held(waiting) > WAITING_BYTES:
                results += self._measured(waiting)
                waiting = []
        return results + self._measured(waiting)

    def measure_again(self, trials: tuple[Trial, ...], trained: str) -> list[TrialResult]:
        """Measure the kept weights of each trial. The columns are the measured ones, the hashes of
        the data and of the weights, and seconds."""

        checksums: dict[str, str] = {}

        def restored(trial: Trial) -> Prepared:
            prepared = prepare(trial, self.device)
            weights = kept_weights(trained, trial.trial_id)
            checksums[trial.trial_id] = weights.sha256
            prepared.model.load_state_dict(weights.tensors)
            return prepared.as_measured()

        prepared, results = prepare_each(trials, restored)
        members = list(prepared.values())
        measured = measure_together(members, self.settings.measure_points)

        for (i, member), (found, seconds) in zip(prepared.items(), measured, strict=True):
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

    def _measured(self, waiting: list[_Trained | TrialResult]) -> list[TrialResult]:
        """Return the results of trained trials, measured together. Failures stay what they are."""
        trained = [one for one in waiting if isinstance(one, _Trained)]
        members = [one.member for one in trained]
        measured = iter(measure_together(members, self.settings.measure_points))

        results = []
        for one in waiting:
            if isinstance(one, TrialResult):
                results.append(one)
                continue
            found, seconds = next(measured)
            if isinstance(found, TrialResult):
                results.append(found)
            else:
                results.append(caught(self._result, one, found, seconds))
        return results

    def _train_stack(self, trials: tuple[Trial, ...]) -> list[_Trained | TrialResult]:
        """Prepare and train the trials of one stack, in order."""

        def prepared_to_train(trial: Trial) -> Prepared:
            refuse_other_data(trial)
            return prepare(trial, self.device)

        prepared, failures = prepare_each(trials, prepared_to_train)
        results: dict[int, _Trained | TrialResult] = {**failures}
        for indices in stacks_of(prepared):
            trained = self._train_or_fail([prepared[i] for i in indices])
            results |= zip(indices, trained, strict=True)
        return [results[i] for i in range(len(trials))]

    def _train_or_fail(
        self, members: list[Prepared], note: str | None = None
    ) -> Sequence[_Trained | TrialResult]:
        """Train trials as one program. When models of several shapes cannot be one, train those of
        each shape as one; when training fails, each trial by itself.

        note: why these trials are fewer than were planned as one stack.
        """
        parts: list[list[int]] = []
        try:
            return self._train_together(_program(members), members, note)
        except PASSED_ON:
            raise
        except BaseException as e:
            if len(members) == 1:
                return [failure(e)]
            why = message_of(e)
            if isinstance(e, CannotStack):
                parts = stacks_of_one_shape(members)
            else:
                why = f"{type(e).__name__}: {why}"

        # After the except clause, whose traceback holds the failed stack in memory.
        note = text(why)[:LONGEST_NOTE]
        if len(parts) < 2:
            return [caught(self._train_alone, member.trial, note) for member in members]

        results: dict[int, _Trained | TrialResult] = {}
        for positions in parts:
            trained = self._train_or_fail([members[i] for i in positions], note)
            results |= zip(positions, trained, strict=True)
        return [results[i] for i in range(len(members))]

    def _train_alone(self, trial: Trial, note: str) -> _Trained | TrialResult:
        """Train a trial alone, from the beginning, after its stack failed."""
        members = [prepare(trial, self.device)]
        (result,) = self._train_together(_program(members), members, note)
        return result

    @own_process_state()
    def _train_together(
        self, program: Program, members: list[Prepared], note: str | None
    ) -> list[_Trained | TrialResult]:
        clock = time.perf_counter()
        fits, resumed_epoch = self._train(program, members)
        train_s = time.perf_counter() - clock

        about_stack: Columns = {
            "stack_size": len(members),
            "stack_note": note,
            "resumed_epoch": resumed_epoch,
        }
        epochs = sum(fit.epochs for fit in fits if isinstance(fit, Fit))
        results: list[_Trained | TrialResult] = []
        for member, fit in zip(members, fits, strict=True):
            if isinstance(fit, TrialFailure):
                results.append(failure(fit))
            else:
                seconds = train_s * fit.epochs / epochs
                seen = caught(Prepared.as_measured, member)
                ready = isinstance(seen, Prepared)
                results.append(_Trained(seen, fit, seconds, about_stack) if ready else seen)
        return results

    def _train(
        self, program: Program, members: list[Prepared]
    ) -> tuple[Sequence[Fit | TrialFailure], int | None]:
        """Return each trial's fit, and the epoch of the checkpoint that training went on from."""
        if members[0].config.frontier:
            return searched(members), None

        models_per_group = sum(group_key(m) == group_key(members[0]) for m in members)
        groups = [
            StackGroup.of(member.config, member.data, member.seeds)
            for member in members[::models_per_group]
        ]

        checkpoint = None
        if len(members) == 1:
            checkpoint = TrialCheckpoint.at(self.settings.checkpoints, members[0].trial)
        begin = checkpoint.load(self.device) if checkpoint else None

        # The first trial's stream stands for all: modules that draw never share a stack.
        draws = drawn_from(members[0].seeds.stream("dropout"), self.device)
        with draws, postponed(checkpoint is not None):
            fits = train(
                program,
                groups,
                [member.config for member in members],
                begin,
                checkpoint.save if checkpoint else lambda _: None,
            )
        return fits, begin.epoch if begin else None

    def _result(self, trained: _Trained, measured: Measured, measure_s: float) -> TrialResult:
        """Return the result of a trained and measured trial. Raises TrialFailure when its held-out
        loss is not finite."""
        refuse_infinite_loss(measured.columns)
        columns = {
            **_columns(trained.member, trained.fit, measured.columns),
            **trained.about_stack,
            **timing_columns(trained.train_s, measure_s),
        }
        if trained.fit.frontier:
            columns |= verified(trained.member, trained.fit.frontier, columns)
        weights = weights_file(trained.member.model, self.settings.weights_bytes)
        return TrialResult(columns, weights, measured.pictures)


def _program(members: Sequence[Prepared]) -> Program:
    """Return the models, in the form that is trained, as one program. Raises CannotStack."""
    modules = [for_training(member.model) for member in members]
    return stack(modules, members[0].data.x_train[:4])


def _bytes_held(waiting: Iterable[_Trained | TrialResult]) -> int:
    """Return the bytes of the models that wait and of their data, counted once for each model."""
    return sum(one.member.bytes for one in waiting if isinstance(one, _Trained))


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
    radius_law = {}
    if data.manifold == "unit-sphere":
        radius_law = radius_law_columns(noise, size["p"], config.n, size["d_ambient"], data.unit())
    return {
        "status": "ok",
        **measured,
        **size,
        **noise_columns(noise, config.n, data.isoperimetry),
        **radius_law,
        "tokens_seen": fit.samples * data.trained_on[0].numel(),
        "stop_rule": config.stop,
        "stop_reason": fit.stop_reason,
        "below_noise": noise.epsilon > 0 and reached <= noise.level - noise.epsilon,
        "below_bayes_error": noise.bayes_error > 0 and fit.error <= noise.bayes_error / 2,
        "epochs": fit.epochs,
        "steps": fit.steps,
        "train_loss": fit.loss,
        "train_error": fit.error,
        "flops": float(_flops_per_sample(prepared) * fit.samples),
        "flops_6nd": 6.0 * size["p"] * fit.samples * data.trained_on[0].numel(),
        "data_hash": prepared.data_hash,
        "data_note": prepared.data_note,
    }


def _flops_per_sample(prepared: Prepared) -> int:
    """Return the FLOPs that one sample costs in one epoch. They are counted once per shape of
    model, or on the model itself where it cannot be built without its data."""
    config = prepared.config
    try:
        return shape_of(prepared.trial.ref, config).training_flops(config)
    except Exception:
        shape = prepared.task.input_shape(config)
        trained = for_training(prepared.model)
        flops = count_training_flops(trained, shape)
        if config.adversary_passes:
            flops += config.adversary_passes * count_pass_flops(trained, shape)
        return flops
