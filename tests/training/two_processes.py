"""What each process of test_processes.py does. The other process than the tests' own is `python -m
tests.training.two_processes FOLDER RANK COUNT`."""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from harness.language import Corpus, LanguageConfig
from harness.measures.next_token import held_out
from harness.task import Seeds
from harness.training.language_checkpoint import LanguageCheckpoint, LanguageState
from harness.training.language_loop import train_language
from harness.training.processes import Processes
from tasks.gpt import stream_gpt
from tests.training.checkpoint_files import language_checkpoint_in
from tests.training.small_language_models import CPU, chain

VOCABULARY, CONTEXT, WIDTH = 12, 8, 24

CASES: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied, clipped": {"tied": False, "clip": 0.05},
    "unevenly accumulated": {"micro_batch": 3, "max_epochs": 1},
    "fewer windows than processes": {"micro_batch": 1, "batch_size": 3, "n": 9, "max_epochs": 1},
    "bfloat16": {"precision": "bfloat16", "micro_batch": 6, "max_epochs": 1},
    "dropout": {"dropout": 0.1},
}
"""Case → its settings, beside n = 30 windows in steps of 12, 12 and 6, in two epochs."""

CLIPPED: dict[str, Any] = {"clip": 0.05}
CUT_AFTER = 1

MEET_S = 120.0
"""Seconds that a process waits for the other."""


def config(case: dict[str, Any]) -> LanguageConfig:
    own = {name: value for name, value in case.items() if name not in ("tied", "dropout")}
    return LanguageConfig(
        **{"n": 30, "context": CONTEXT, "batch_size": 12, "max_epochs": 2, "lr": 0.01, **own}
    )


def corpus() -> Corpus:
    """Return a corpus whose held-out windows leave one process with fewer than the others."""
    return Corpus(chain(500), chain(21 * CONTEXT + 3)[::-1].copy(), VOCABULARY, 0, 100, "made")


class CutOff(LanguageCheckpoint):
    """The checkpoint of a trial that is killed after its first checkpoint, in step CUT_AFTER."""

    saved = False

    @property
    def due(self) -> bool:
        return not self.saved

    def save(self, state: LanguageState) -> None:
        super().save(state)
        self.saved = True


class OnlyRead(LanguageCheckpoint):
    """A checkpoint that is read and never written."""

    due = False  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]


def go(
    case: dict[str, Any], processes: Processes, kept: LanguageCheckpoint | None = None
) -> dict[str, Any]:
    """Train and evaluate a small GPT. Return all figures and, in the first process, the whole
    weights by name."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = stream_gpt(
            2,
            WIDTH,
            2,
            CONTEXT,
            VOCABULARY,
            tied=case.get("tied", True),
            dropout=case.get("dropout", 0.0),
        )
        processes.shard(model, CPU)
        torch.manual_seed(5 + processes.rank)
        fit = train_language(
            model, corpus().train, config(case), Seeds(0).generator("order"), CPU, kept, processes
        )

    def held(p: torch.nn.Parameter) -> torch.Tensor:
        """Return this process's part of a parameter."""
        return p.to_local() if isinstance(p, DTensor) else p

    judged = held_out(model, corpus(), CONTEXT, 10_000, CPU, processes)
    weights = processes.gather(model.state_dict())
    return {
        "fit": [fit.loss, fit.error, fit.steps, fit.resumed_step],
        "curve": [point.loss for point in fit.curve],
        "held_out": list(judged),
        "weights": {name: tensor.flatten().tolist() for name, tensor in weights.items()},
        "parts": sum(held(p).numel() for p in model.parameters()),
    }


def kept_in(
    folder: Path, kind: type[LanguageCheckpoint] = LanguageCheckpoint
) -> LanguageCheckpoint:
    folder.mkdir(exist_ok=True)
    return language_checkpoint_in(folder, kind=kind)


def main(folder: Path, processes: Processes) -> None:
    """Meet the other process in the folder, train every case with it, and write what this process
    found to the folder. A process that stays away is an error after MEET_S."""
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=processes.rank,
        world_size=processes.count,
        timeout=timedelta(seconds=MEET_S),
    )

    first = processes.rank == 0
    found = {name: go(case, processes) for name, case in CASES.items()}
    found["kept"] = go(
        CASES["dropout"], processes, kept_in(folder / "of two", CutOff) if first else None
    )
    found["gone on"] = go(
        CASES["dropout"], processes, kept_in(folder / "of two", OnlyRead) if first else None
    )
    found["kept, clipped"] = go(
        CLIPPED, processes, kept_in(folder / "for one", CutOff) if first else None
    )
    found["gone on from one process"] = go(
        CLIPPED, processes, kept_in(folder / "of one", OnlyRead) if first else None
    )
    (folder / f"{processes.rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Processes(int(sys.argv[2]), int(sys.argv[3])))
