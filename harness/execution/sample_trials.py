"""Trials that fit labelled samples: a stack of them from data to measured columns, with every
failure caught and named."""

import math
import time
from typing import Any, NamedTuple

import torch
from safetensors import torch as safetensors

from harness.errors import TrialFailure
from harness.execution.failures import PASSED_ON, failed, failure, text
from harness.measures import measure, on_device
from harness.measures.counts import count_parameters, count_training_flops, params_per_number
from harness.planning.field_tracking_cache import FieldTrackingCache
from harness.planning.model_shape import shape_of
from harness.store.location import read_kept
from harness.store.schema import Columns
from harness.sweeps.registry import TaskRef, load_samples
from harness.sweeps.trial import RunSettings, Trial, refuse_other_data
from harness.task import BaseTask, Config, Data, Seeds, Task, check
from harness.training.adversary import adversary_of, count_pass_flops
from harness.training.checkpoint import TrialCheckpoint
from harness.training.loop import Fit, StackGroup, train
from harness.training.stack import CannotStack, Program, stack

KEPT_NUMBERS = 100_000_000
"""Data kept for the next batch of the same worker, which often needs them again: 0.4 GB."""


class _Ready(NamedTuple):
    """A trial with its data made and its model initialised."""

    trial: Trial
    task: Task
    config: Config
    seeds: Seeds
    data: Data
    data_hash: str
    model: torch.nn.Module


class _Kept:
    """Data that this process has made, once for all trials that read the same fields; forgotten
    all at once when it is much."""

    def __init__(self):
        self.memos: dict[TaskRef, FieldTrackingCache[tuple[Data, str]]] = {}
        self.numbers = 0

    def data(self, ref: TaskRef) -> FieldTrackingCache[tuple[Data, str]]:
        """A memo of (config, seed, device) → the samples on the device, checked, and their hash."""
        if self.numbers > KEPT_NUMBERS:
            self.memos, self.numbers = {}, 0
        if ref not in self.memos:
            self.memos[ref] = FieldTrackingCache(
                lambda config, seed, device: self._make(ref, config, seed, device)
            )
        return self.memos[ref]

    def _make(self, ref: TaskRef, config: Config, seed: int, device: str) -> tuple[Data, str]:
        task = load_samples(ref)
        data = task.data(config, Seeds(seed))
        check(data, task.input_shape(config), config.n)
        self.numbers += data.x_train.numel() + data.x_test.numel()
        return on_device(data, torch.device(device)), data.content_hash()


_KEPT = _Kept()


class SampleTrials:
    """A stack's way through."""

    def __init__(self, given: RunSettings, device: torch.device):
        self.given, self.device = given, device

    def run(self, trials: tuple[Trial, ...]) -> list[Columns]:
        """The trials of one stack. What fails for one alone (its data, its model, its loss)
        fails that one alone."""
        ready: dict[int, _Ready] = {}
        columns: dict[int, Columns] = {}
        for i, trial in enumerate(trials):
            try:
                refuse_other_data(trial)
                ready[i] = self._prepare(trial)
            except PASSED_ON:
                raise
            except BaseException as e:
                columns[i] = failure(e)
        for models in _rectangles(ready):
            group = [ready[i] for i in models]
            try:
                program, note = stack([r.model for r in group], group[0].data.x_train[:4]), None
                found = self._train_and_measure(program, group, note)
            except PASSED_ON:
                raise
            except BaseException as e:
                if len(group) == 1:
                    found = [failure(e)]
                else:
                    why = str(e) if isinstance(e, CannotStack) else f"{type(e).__name__}: {e}"
                    found = [self._alone(r.trial, text(why)[:500]) for r in group]
            columns |= dict(zip(models, found, strict=True))
        return [columns[i] for i in range(len(trials))]

    def measure_again(self, trials: tuple[Trial, ...], trained: str) -> list[Columns]:
        """The measured columns of trials with kept weights, in `_measured`, with the hash of the
        data they were measured on."""
        ready: dict[int, _Ready] = {}
        columns: dict[int, Columns] = {}
        for i, trial in enumerate(trials):
            try:
                ready[i] = self._prepare(trial)
                ready[i].model.load_state_dict(safetensors.load(read_kept(trained, trial.trial_id)))
            except PASSED_ON:
                raise
            except BaseException as e:
                columns[i] = failure(e)
                ready.pop(i, None)
        clock = time.perf_counter()
        found: dict[int, Columns] = {}
        try:
            found = dict(zip(ready, self._measure(list(ready.values())), strict=True))
        except PASSED_ON:
            raise
        except BaseException:  # one of them, perhaps: each by itself then
            for i, r in ready.items():
                try:
                    found[i] = self._measure([r])[0]
                except PASSED_ON:
                    raise
                except BaseException as e:
                    columns[i] = failure(e)
        seconds = (time.perf_counter() - clock) / max(1, len(ready))
        for i, measured in found.items():
            if not math.isfinite(measured["test_loss"]):
                columns[i] = failed("nan", f"the loss on held-out data is {measured['test_loss']}")
                continue
            columns[i] = {
                "status": "ok",
                "_measured": measured,
                "data_hash": ready[i].data_hash,
                "measure_s": seconds,
            }
        return [columns[i] for i in range(len(trials))]

    def _alone(self, trial: Trial, note: str) -> Columns:
        """Again from the beginning, for a trial of a stack that did not work out."""
        try:
            ready = self._prepare(trial)
            return self._train_and_measure(
                stack([ready.model], ready.data.x_train[:4]), [ready], note
            )[0]
        except PASSED_ON:
            raise
        except BaseException as e:
            return failure(e)

    def _prepare(self, trial: Trial) -> _Ready:
        task, config, seeds = load_samples(trial.ref), trial.load_config(), Seeds(trial.seed)
        data, data_hash = _KEPT.data(trial.ref)(config, trial.seed, str(self.device))
        model = initialised(task, config, seeds).to(self.device)
        return _Ready(trial, task, config, seeds, data, data_hash, model)

    def _train_and_measure(
        self, program: Program, ready: list[_Ready], note: str | None
    ) -> list[Columns]:
        starts = [r.seeds.generator("adversary") if r.config.adversary else None for r in ready]
        groups = [
            StackGroup(r.data, r.seeds.generator("order"), r.config.lr, drawn)
            for r, drawn in zip(ready, starts, strict=True)
        ]
        per_group = sum(_row_key(r) == _row_key(ready[0]) for r in ready)
        mine = (
            TrialCheckpoint.at(self.given.checkpoints, ready[0].trial) if len(ready) == 1 else None
        )
        begin = mine.load(self.device) if mine else None
        clock = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            # modules that draw in training never share a stack
            torch.default_generator.manual_seed(ready[0].seeds.stream("dropout"))
            fits = train(
                program,
                groups[::per_group],
                [r.config for r in ready],
                begin,
                mine.save if mine else lambda _: None,
            )
        train_s = time.perf_counter() - clock
        clock = time.perf_counter()
        fine = [m for m, fit in enumerate(fits) if isinstance(fit, Fit)]
        measured = dict(zip(fine, self._measure([ready[m] for m in fine]), strict=True))
        measure_s = time.perf_counter() - clock
        epochs = sum(fit.epochs for fit in fits if isinstance(fit, Fit))
        columns = []
        for m, (r, fit) in enumerate(zip(ready, fits, strict=True)):
            if isinstance(fit, TrialFailure):
                columns.append(failure(fit))
            elif not math.isfinite(measured[m]["test_loss"]):
                columns.append(
                    failed("nan", f"the loss on held-out data is {measured[m]['test_loss']}")
                )
            else:
                stacking = {
                    "stack_size": len(ready),
                    "stack_note": note,
                    "resumed_epoch": begin.epoch if begin else None,
                }
                seconds = {
                    "train_s": train_s * fit.epochs / epochs,
                    "measure_s": measure_s / len(fine),
                }
                seconds["measure_share"] = seconds["measure_s"] / sum(seconds.values())
                columns.append(
                    _columns(r, fit, measured[m], self.given.weights_bytes) | stacking | seconds
                )
        return columns

    def _measure(self, ready: list[_Ready]) -> list[Columns]:
        """As one stack, or one by one where training has made that impossible."""
        if not ready:
            return []
        try:
            program = stack([r.model for r in ready], ready[0].data.x_train[:4])
        except CannotStack:
            return [self._measure([r])[0] for r in ready]
        return measure(
            program, [r.data for r in ready], [r.seeds for r in ready], self.given.measure_points
        )


def initialised(task: BaseTask, config: Config, seeds: Seeds) -> torch.nn.Module:
    """The task's model with the trial's own first weights; the process's generator is left as it
    was."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed also notes a traceback for CUDA, each time
        torch.default_generator.manual_seed(seeds.stream("init"))
        return task.model(config)


def _row_key(ready: _Ready) -> tuple[Any, ...]:
    """Models with equal keys see the same samples in the same order at the same learning rate,
    against the same adversary."""
    return (
        id(ready.data),
        ready.trial.seed,
        ready.config.lr,
        ready.config.samples_per_step,
        adversary_of(ready.config),
    )


def _rectangles(ready: dict[int, _Ready]) -> list[list[int]]:
    """The trials cut into stacks of equally long rows, row after row: all of them, or each row
    by itself."""
    rows: dict[tuple[Any, ...], list[int]] = {}
    for i, r in ready.items():
        rows.setdefault(_row_key(r), []).append(i)
    first = [ready[row[0]] for row in rows.values()]
    alike = {
        (len(row), r.data.x_train.shape, r.data.classes, r.data.box, _row_key(r)[-2:])
        for r, row in zip(first, rows.values(), strict=True)
    }
    return [[i for row in rows.values() for i in row]] if len(alike) == 1 else list(rows.values())


def _columns(ready: _Ready, fit: Fit, measured: Columns, weights_bytes: int) -> Columns:
    trial, task, config, _, data, data_hash, model = ready
    counts = count_parameters(model)
    return {
        "status": "ok",
        "family": text(task.family(config)),
        "p": counts.trainable,
        "p_frozen": counts.frozen,
        "params_by_group": [g._asdict() for g in counts.groups],
        "n": config.n,
        "d_ambient": task.d_ambient(config),
        "outputs": 1 if data.classes is None else data.classes,
        "tokens_distinct": config.n,
        "tokens_seen": config.n * fit.epochs,
        "params_per_token": counts.trainable / config.n,
        **_law_columns(data, config.n, config.stop, fit),
        "epochs": fit.epochs,
        "steps": fit.steps,
        "train_loss": fit.loss,
        "train_error": fit.error,
        **measured,
        **params_per_number(counts.trainable, config.n, task.d_ambient(config), measured),
        "flops": float(_flops_per_sample(ready) * config.n * fit.epochs),
        "flops_6nd": 6.0 * counts.trainable * config.n * fit.epochs,
        "data_hash": data_hash,
        "_weights": weights(model, weights_bytes),
    }


def _flops_per_sample(ready: _Ready) -> int:
    """Counted once per shape of model; on the model itself where it cannot be built without its
    data."""
    try:
        return shape_of(ready.trial.ref, ready.config).training_flops(ready.config)
    except Exception:
        shape, passes = ready.task.input_shape(ready.config), ready.config.adversary_passes
        return count_training_flops(ready.model, shape) + (
            passes and passes * count_pass_flops(ready.model, shape)
        )


def _law_columns(data: Data, n: int, stop: str, fit: Fit) -> Columns:
    noise = data.noise
    reached = fit.loss if data.classes is None else fit.error
    return {
        "noise_kind": noise.kind,
        "eta": noise.eta,
        "sigma2": noise.sigma2,
        "bayes_error": noise.bayes_error,
        "epsilon": noise.epsilon,
        "stop_rule": stop,
        "stop_reason": fit.stop_reason,
        "below_noise": noise.epsilon > 0 and reached <= noise.level - noise.epsilon,
        "below_bayes_error": noise.bayes_error > 0 and fit.error <= noise.bayes_error / 2,
        "isoperimetry": "proved" if data.manifold == "unit-sphere" else "assumed",
        # Bubeck & Sellke 2021, Theorem 3: 8⁴ k log(8k/δ) ≤ n ε², here with k = 1 and δ = 0.05.
        "law_n_large_enough": (
            n * noise.epsilon**2 >= 8**4 * float(torch.log(torch.tensor(8 / 0.05)))
        ),
    }


def weights(model: torch.nn.Module, limit: int) -> bytes | None:
    state = model.state_dict()
    if sum(t.numel() * t.element_size() for t in state.values()) > limit:
        return None
    # clone: tied ones share memory
    return safetensors.save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    )
