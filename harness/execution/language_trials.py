"""Trials of language models: corpus, a pass of training where there is one, measures over every
position and in embedding space."""

import gc
import math
import time
from typing import NamedTuple

import torch
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from harness.errors import UserError
from harness.execution.failures import PASSED_ON, failed, failure
from harness.execution.sample_trials import initialised, weights
from harness.language import (
    CausalLM,
    Corpus,
    LanguageConfig,
    LanguageTask,
    window_begins,
    windows_at,
)
from harness.measures import measure
from harness.measures.counts import count_parameters, params_per_number
from harness.measures.next_token import held_out, last_word
from harness.noise import Noise
from harness.planning.memory import LEAST_POINTS, MEASURING_BYTES
from harness.planning.model_shape import shape_of
from harness.store.location import read_kept
from harness.store.schema import Columns
from harness.sweeps.registry import load
from harness.sweeps.trial import RunSettings, Trial, refuse_other_data
from harness.task import Data, Seeds, Text
from harness.training.language_checkpoint import LanguageCheckpoint
from harness.training.language_loop import LanguageFit, train_language
from harness.training.processes import ALONE, CPU, Processes
from harness.training.stack import Alone

JUDGED_TOKENS = 200_000
"""Held-out targets behind the loss, at most."""

EMBEDDED_WINDOWS, EMBEDDED_NUMBERS = 512, 2**25
"""Windows embedded for the instruments, of training and of held-out text each: at most so many,
holding at most so many numbers."""


class _Ready(NamedTuple):
    trial: Trial
    task: LanguageTask
    config: LanguageConfig
    seeds: Seeds
    corpus: Corpus
    model: CausalLM


class LastPosition(nn.Module):
    """A language model as the instruments see it: embeddings (B, T, width) to the logits after
    the last."""

    def __init__(self, model: CausalLM):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.last(x)


class LanguageTrials:
    """Some trials' way through, one after another: each fills its machine, or its GPU, by itself.

    A trial that fills several GPUs goes this way in several processes at once, each with its part
    of the model; the first one's columns are the trial's, and the others' say no more than that it
    went well.
    """

    def __init__(self, given: RunSettings, device: torch.device, processes: Processes = ALONE):
        self.given, self.device, self.processes = given, device, processes

    def run(self, trials: tuple[Trial, ...]) -> list[Columns]:
        """Each trained, if it is to be, and measured."""
        return [self._caught(trial, self._run) for trial in trials]

    def measure_again(self, trials: tuple[Trial, ...], trained: str) -> list[Columns]:
        """The measured columns of trials with kept weights, in `_measured`."""

        def again(trial: Trial) -> Columns:
            ready = self._prepare(trial)
            # Not safetensors' load_model: it refuses files that hold tied weights under both names,
            # as ours do.
            ready.model.load_state_dict(load_tensors(read_kept(trained, trial.trial_id)))
            clock = time.perf_counter()
            measured = self._instruments(ready, self.device) | self._over_text(ready)
            seconds = time.perf_counter() - clock
            if not math.isfinite(measured["test_loss"]):
                return failed("nan", f"the loss on held-out data is {measured['test_loss']}")
            return {
                "status": "ok",
                "_measured": measured,
                "data_hash": ready.corpus.content_hash,
                "measure_s": seconds,
            }

        return [self._caught(trial, again) for trial in trials]

    def _caught(self, trial: Trial, way) -> Columns:
        try:
            return way(trial)
        except PASSED_ON:
            raise
        except BaseException as e:
            return failure(e)

    def _prepare(self, trial: Trial) -> _Ready:
        task, config, seeds = load(trial.ref), trial.load_config(), Seeds(trial.seed)
        assert isinstance(task, LanguageTask) and isinstance(config, LanguageConfig)
        corpus = task.corpus(config)
        model = initialised(task, config, seeds)
        assert isinstance(model, CausalLM)
        self.processes.shard(model, self.device)
        return _Ready(trial, task, config, seeds, corpus, model)

    def _run(self, trial: Trial) -> Columns:
        refuse_other_data(trial)
        ready = self._prepare(trial)
        fit, train_s = None, 0.0
        if ready.config.max_epochs:
            clock = time.perf_counter()
            checkpoint = (
                LanguageCheckpoint.at(self.given.checkpoints, trial)
                if self.processes.rank == 0
                else None
            )
            with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                # Of every device: dropout draws where the model is. Each process draws for its own
                # windows.
                torch.manual_seed(ready.seeds.stream("dropout") + self.processes.rank)
                order = ready.seeds.generator("order")
                fit = train_language(
                    ready.model,
                    ready.corpus.train,
                    ready.config,
                    order,
                    self.device,
                    checkpoint,
                    self.processes,
                )
            train_s = time.perf_counter() - clock
        clock = time.perf_counter()
        over_text = self._over_text(ready)
        device, note = self.device, None
        if self.processes.count > 1:
            ready, device = self._gathered(ready)
            if self.processes.rank:
                return {"status": "ok"}
            note = (
                f"one model over {self.processes.count} processes; instruments on the whole of it,"
                f" on one {device.type}"
            )
        measured = self._instruments(ready, device) | over_text
        seconds = {"train_s": train_s, "measure_s": time.perf_counter() - clock}
        seconds["measure_share"] = seconds["measure_s"] / sum(seconds.values())
        if not math.isfinite(measured["test_loss"]):
            return failed("nan", f"the loss on held-out data is {measured['test_loss']}")
        kept = weights(ready.model, self.given.weights_bytes) if fit else None
        return (
            _columns(ready, fit, measured)
            | seconds
            | {
                "stack_size": 1,
                "stack_note": note,
                "_weights": kept,
            }
        )

    def _gathered(self, ready: _Ready) -> tuple[_Ready, torch.device]:
        """With the whole model in the first process, on its device if it fits there with what
        the instruments need, else on the CPU."""
        state = self.processes.gather(ready.model.state_dict())
        if self.processes.rank:
            return ready, self.device
        whole = initialised(ready.task, ready.config, ready.seeds)
        assert isinstance(whole, CausalLM)
        whole.load_state_dict(state)
        device = self.device
        if device.type == "cuda":
            gc.collect()  # what training held refers to itself
            torch.cuda.empty_cache()
            weight = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
            if torch.cuda.mem_get_info(device)[0] < 2 * weight + MEASURING_BYTES:
                device = CPU
        return ready._replace(model=whole.to(device)), device

    def _instruments(self, ready: _Ready, device: torch.device) -> Columns:
        """At the last positions of windows, in the space of the embeddings of the model, which
        lies whole on the device."""
        if not self.given.measure_points:
            return {}
        config, corpus, model = ready.config, ready.corpus, ready.model.eval()
        data = embedded(ready.task, config, corpus, model, ready.seeds, device)
        fitting = MEASURING_BYTES // shape_of(ready.trial.ref, config).saved_bytes_per_sample
        points = min(self.given.measure_points, max(LEAST_POINTS, fitting))
        (columns,) = measure(Alone(LastPosition(model)), [data], [ready.seeds], points)
        return columns

    def _over_text(self, ready: _Ready) -> Columns:
        """Over every position of the held-out text."""
        over_text = held_out(
            ready.model,
            ready.corpus,
            ready.config.context,
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
            **self._last_words(ready),
        }

    def _last_words(self, ready: _Ready) -> Columns:
        examples = ready.task.last_words(ready.config)
        if not examples:
            return {}
        longest = max(len(passage) + len(word) for passage, word in examples)
        found = last_word(ready.model, examples, longest, self.device)
        return {
            "last_word_accuracy": found.accuracy,
            "last_word_accuracy_se": found.accuracy_se,
            "last_word_n": found.count,
        }


@torch.no_grad()
def embedded(
    task: LanguageTask,
    config: LanguageConfig,
    corpus: Corpus,
    model: CausalLM,
    seeds: Seeds,
    device: torch.device,
) -> Data:
    """Windows of training and of held-out text in the model's own embeddings, the token after
    each as its label."""
    count = max(2, min(EMBEDDED_WINDOWS, EMBEDDED_NUMBERS // task.d_ambient(config)))
    table, length, parts = model.table().detach(), config.context + 1, []
    train_draw, test_draw = seeds.generator("data"), seeds.generator("measure")
    for tokens, draw, of in (
        (corpus.train, train_draw, "training"),
        (corpus.held_out, test_draw, "held-out"),
    ):
        begins = window_begins(tokens, corpus.separator, length)
        if len(begins) < 2:
            there = (
                f"the corpus has {len(begins)} {of} windows of {length} tokens that lie within one"
                " document"
            )
            raise UserError(
                f"{there}, and measures need 2: lower 'context', or use longer documents"
            )
        rows = torch.randperm(len(begins), generator=draw)[:count].sort().values
        parts.append(
            torch.from_numpy(windows_at(tokens, begins[rows.numpy()], length).astype("int64")).to(
                device
            )
        )
    train, test = parts
    text = Text(test[:, :-1], table, byte_tokens=task.byte_tokens(config))
    no_noise = Noise("none", 0.0, 0.0)
    x_train, x_test = table[train[:, :-1]], table[text.tokens]
    return Data(x_train, train[:, -1], x_test, test[:, -1], no_noise, classes=len(table), text=text)


def _columns(ready: _Ready, fit: LanguageFit | None, measured: Columns) -> Columns:
    trial, task, config, _, corpus, model = ready
    counts = count_parameters(model)
    distinct = task.tokens_distinct(config)
    samples = task.samples_distinct(config)
    flops = shape_of(trial.ref, config).flops_per_sample * config.n * config.max_epochs
    per_number = (
        params_per_number(counts.trainable, samples, task.d_ambient(config), measured)
        if samples
        else {}
    )
    return {
        "status": "ok",
        "family": task.family(config),
        "p": counts.trainable,
        "p_frozen": counts.frozen,
        "params_by_group": [g._asdict() for g in counts.groups],
        "n": round(samples) if samples else None,
        "d_ambient": task.d_ambient(config),
        "outputs": corpus.vocabulary,
        "tokens_distinct": distinct,
        "tokens_seen": task.tokens_seen(config),
        "params_per_token": counts.trainable / distinct if distinct else None,
        "noise_kind": "none",
        "eta": 0.0,
        "bayes_error": 0.0,
        "epsilon": 0.0,
        "stop_rule": "epochs",
        "stop_reason": "epoch_cap" if fit else "not_trained",
        "below_noise": False,
        "below_bayes_error": False,
        "isoperimetry": "assumed",
        "law_n_large_enough": False,
        "epochs": config.max_epochs,
        "steps": fit.steps if fit else 0,
        "resumed_step": fit.resumed_step if fit else None,
        "train_loss": fit.loss if fit else None,
        "train_error": fit.error if fit else None,
        "loss_curve": [point._asdict() for point in fit.curve] if fit else None,
        **measured,
        **per_number,
        "flops": float(flops),
        "flops_6nd": 6.0 * counts.trainable * config.n * config.context * config.max_epochs,
        "data_hash": corpus.content_hash,
    }
