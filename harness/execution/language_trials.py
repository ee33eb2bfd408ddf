"""Trials of language models: the corpus, training where the configuration asks for it, measures
over every position and in embedding space."""

import gc
import time
from typing import NamedTuple

import torch

from harness.execution.embedded_windows import LastPosition, embedded
from harness.execution.failures import caught, refuse_infinite_loss
from harness.execution.model_weights import initialised, kept_weights, weights_file
from harness.execution.row_columns import model_columns, noise_columns, timing_columns
from harness.execution.trial_result import TrialResult
from harness.interruption import postponed
from harness.language import CausalLM, Corpus, LanguageConfig, LanguageTask
from harness.measures import Measured, measure
from harness.measures.next_token import held_out, last_word
from harness.noise import Noise
from harness.planning.memory import MEASURING_BYTES, points_within_memory
from harness.planning.model_shape import Shape
from harness.planning.resolved import resolve
from harness.process_state import own_process_state
from harness.store.schema import Columns
from harness.sweeps.point_counts import PointCounts
from harness.sweeps.trial import RunSettings, Trial, refuse_other_data
from harness.task import Seeds, check_dimensions
from harness.training.language_loop import LanguageCheckpoint, LanguageFit, train_language
from harness.training.processes import ALONE, CPU, Processes
from harness.training.stack import Alone

JUDGED_TOKENS = 200_000
"""Held-out targets behind the loss, at most."""

NO_NOISE = Noise("none", 0.0, 0.0)
"""No noise is injected into text."""


class _Prepared(NamedTuple):
    """A trial with its corpus opened and its model initialised."""

    trial: Trial
    task: LanguageTask
    config: LanguageConfig
    shape: Shape
    seeds: Seeds
    corpus: Corpus
    model: CausalLM


class LanguageTrials:
    """Trains and measures language models one after another: each fills its machine, or its GPU, by
    itself.

    A trial that takes several GPUs runs in several processes at once, each with its part of the
    model. The first process's result is the trial's; that of every other one only says ok.
    """

    def __init__(self, settings: RunSettings, device: torch.device, processes: Processes = ALONE):
        self.settings = settings
        self.device = device
        self.processes = processes

    def run(self, trials: tuple[Trial, ...]) -> list[TrialResult]:
        """Train each trial if its configuration has epochs, and measure it."""
        return [caught(self._run, trial) for trial in trials]

    def measure_again(self, trials: tuple[Trial, ...], trained: str) -> list[TrialResult]:
        """Measure the kept weights of each trial. The columns are the measured ones, the hashes of
        the corpus and of the weights, and seconds."""
        return [caught(self._measure_again, trial, trained) for trial in trials]

    @own_process_state()
    def _run(self, trial: Trial) -> TrialResult:
        refuse_other_data(trial)
        prepared = self._prepare(trial)

        fit = None
        train_s = 0.0
        if prepared.config.max_epochs:
            clock = time.perf_counter()
            fit = self._train(prepared)
            train_s = time.perf_counter() - clock

        clock = time.perf_counter()
        measured_over_text = self._over_text(prepared)
        device = self.device
        note = None
        if self.processes.count > 1:
            prepared, device = self._gathered(prepared)
            if self.processes.rank:
                return TrialResult({"status": "ok"})
            note = (
                f"one model over {self.processes.count} processes; instruments on the whole of it,"
                f" on one {device.type}"
            )
        at_points = self._at_points(prepared, device)
        measured = at_points.columns | measured_over_text
        measure_s = time.perf_counter() - clock

        refuse_infinite_loss(measured)
        columns = {
            **_columns(prepared, fit, measured),
            **timing_columns(train_s, measure_s),
            "stack_size": 1,
            "stack_note": note,
        }
        weights = weights_file(prepared.model, self.settings.weights_bytes) if fit else None
        return TrialResult(columns, weights, at_points.pictures)

    @own_process_state()
    def _measure_again(self, trial: Trial, trained: str) -> TrialResult:
        prepared = self._prepare(trial)
        # Not safetensors' load_model: it refuses files that hold tied weights under both names, as
        # ours do.
        weights = kept_weights(trained, trial.trial_id)
        prepared.model.load_state_dict(weights.tensors)

        clock = time.perf_counter()
        at_points = self._at_points(prepared, self.device)
        measured = at_points.columns | self._over_text(prepared)
        measure_s = time.perf_counter() - clock

        refuse_infinite_loss(measured)
        columns = {
            "status": "ok",
            **measured,
            "data_hash": prepared.corpus.content_hash,
            "weights_sha256": weights.sha256,
            "measure_s": measure_s,
        }
        return TrialResult(columns, pictures=at_points.pictures)

    def _prepare(self, trial: Trial) -> _Prepared:
        _, task, config, shape = resolve(trial)
        assert isinstance(task, LanguageTask) and isinstance(config, LanguageConfig)
        check_dimensions(task.input_shape(config), task.d_ambient(config))
        seeds = Seeds(trial.seed)
        with own_process_state():
            corpus = task.corpus(config)
        model = initialised(task, config, seeds)
        assert isinstance(model, CausalLM)
        self.processes.shard(model, self.device)
        return _Prepared(trial, task, config, shape, seeds, corpus, model)

    def _train(self, prepared: _Prepared) -> LanguageFit:
        checkpoint = None
        if self.processes.rank == 0:
            checkpoint = LanguageCheckpoint.at(self.settings.checkpoints, prepared.trial)

        # Dropout draws on the model's device, and each process draws for its own windows.
        cuda_devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda_devices), postponed(checkpoint is not None):
            torch.manual_seed(prepared.seeds.stream("dropout") + self.processes.rank)
            return train_language(
                prepared.model,
                prepared.corpus.train,
                prepared.config,
                prepared.seeds.generator("order"),
                self.device,
                checkpoint,
                self.processes,
            )

    def _gathered(self, prepared: _Prepared) -> tuple[_Prepared, torch.device]:
        """Gather the whole model in the first process. It lies on that process's device when there
        is room for it and for what the instruments need, else on the CPU."""
        state = self.processes.gather(prepared.model.state_dict())
        if self.processes.rank:
            return prepared, self.device

        whole = initialised(prepared.task, prepared.config, prepared.seeds)
        assert isinstance(whole, CausalLM)
        whole.load_state_dict(state)

        device = self.device
        if device.type == "cuda":
            gc.collect()  # what training held refers to itself
            torch.cuda.empty_cache()
            free = torch.cuda.mem_get_info(device)[0]
            model_bytes = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
            if free < 2 * model_bytes + MEASURING_BYTES:
                device = CPU
        return prepared._replace(model=whole.to(device)), device

    def _at_points(self, prepared: _Prepared, device: torch.device) -> Measured:
        """Measure sensitivity at the last positions of windows, in the space of embeddings. The
        whole model must lie on `device`."""
        wanted = PointCounts.of(self.settings.measure_points)
        if not wanted.stability:
            return Measured({})

        config = prepared.config
        model = prepared.model.eval()
        data = embedded(prepared.task, config, prepared.corpus, model, prepared.seeds, device)

        counts = PointCounts(*(points_within_memory(count, prepared.shape) for count in wanted))
        (measured,) = measure(Alone(LastPosition(model)), [data], [prepared.seeds], counts)
        return measured

    def _over_text(self, prepared: _Prepared) -> Columns:
        """Measure the loss, and what follows from it, over every position of the held-out text."""
        over_text = held_out(
            prepared.model,
            prepared.corpus,
            prepared.config.context,
            JUDGED_TOKENS,
            self.device,
            self.processes,
        )
        return {
            "test_loss": over_text.loss,
            "test_loss_se": over_text.loss_se,
            "bits_per_byte": over_text.bits_per_byte,
            "test_accuracy": over_text.accuracy,
            "test_accuracy_se": over_text.accuracy_se,
            "test_n": over_text.tokens,
            "nll": over_text.loss,
            "nll_se": over_text.loss_se,
            "ece": over_text.ece,
            "ece_se": over_text.ece_se,
            "brier": over_text.brier,
            "brier_se": over_text.brier_se,
            **self._last_words(prepared),
        }

    def _last_words(self, prepared: _Prepared) -> Columns:
        examples = prepared.task.last_words(prepared.config)
        if not examples:
            return {}
        longest = max(len(passage) + len(word) for passage, word in examples)
        over_words = last_word(prepared.model, examples, longest, self.device)
        return {
            "last_word_accuracy": over_words.accuracy,
            "last_word_accuracy_se": over_words.accuracy_se,
            "last_word_n": over_words.count,
        }


def _columns(prepared: _Prepared, fit: LanguageFit | None, measured: Columns) -> Columns:
    """Return the columns of a measured trial; `fit` is None for a model that came trained."""
    task = prepared.task
    config = prepared.config
    size = model_columns(task, config, prepared.model, prepared.corpus.vocabulary, measured)
    return {
        "status": "ok",
        **measured,
        **size,
        **noise_columns(NO_NOISE, config.n, "assumed"),
        **_fit_columns(fit),
        "tokens_seen": task.tokens_seen(config),
        "stop_rule": "epochs",
        "below_noise": False,
        "below_bayes_error": False,
        "epochs": config.max_epochs,
        "flops": float(prepared.shape.flops_per_sample * config.n * config.max_epochs),
        "flops_6nd": 6.0 * size["p"] * config.n * config.context * config.max_epochs,
        "data_hash": prepared.corpus.content_hash,
    }


def _fit_columns(fit: LanguageFit | None) -> Columns:
    if fit is None:
        return {
            "stop_reason": "not_trained",
            "steps": 0,
            "resumed_step": None,
            "train_loss": None,
            "train_error": None,
            "loss_curve": None,
        }
    return {
        "stop_reason": "epoch_cap",
        "steps": fit.steps,
        "resumed_step": fit.resumed_step,
        "train_loss": fit.loss,
        "train_error": fit.error,
        "loss_curve": [point._asdict() for point in fit.curve],
    }
