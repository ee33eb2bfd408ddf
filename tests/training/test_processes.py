"""Two processes train one model: each holds its part, the figures are those of one process, and
training resumes after a kill.

Run alone: python -m pytest tests/training/test_processes.py
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

from harness.language import CausalLM
from harness.training.processes import ALONE, Processes, blocks
from tests import ROOT
from tests.training import two_processes
from tests.training.two_processes import (
    CASES,
    CLIPPED,
    CUT_AFTER,
    CutOff,
    OnlyRead,
    go,
    kept_in,
    main,
)

SAME = [name for name in CASES if name != "dropout"]
"""The cases in which one and two processes agree. For dropout two processes draw other numbers than
one."""

TOLERANCE = {"bfloat16": 1e-2}
"""Relative; 1e-5 for all other cases. In bfloat16 the matmuls of a slice round differently from
those of the whole batch."""

# Two processes wait for each other, on a machine that may be busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train all cases by this process and another, and return the folder of their results."""
    folder = tmp_path_factory.mktemp("two")
    go(CLIPPED, ALONE, kept_in(folder / "of one", CutOff))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "tests.training.two_processes", str(folder), "1", "2"]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as other:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as in the other process
                main(folder, Processes(0, 2))
            assert other.wait(60) == 0
        finally:
            other.kill()
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Any]]:
    """Return the same results of one process."""
    return {name: go(CASES[name], ALONE) for name in SAME}


@pytest.mark.parametrize("case", SAME)
def test_two_processes_train_as_one(
    case: str, found: list[dict[str, Any]], alone: dict[str, dict[str, Any]]
):
    two = found[0][case]
    one = alone[case]
    within = TOLERANCE.get(case, 1e-5)
    assert two["fit"][2:] == one["fit"][2:] == [3 * CASES[case].get("max_epochs", 2), None]

    np.testing.assert_allclose(two["curve"], one["curve"], rtol=within)
    assert two["weights"].keys() == one["weights"].keys()
    if case == "bfloat16":
        return
    np.testing.assert_allclose(two["fit"][:2], one["fit"][:2], rtol=within)
    np.testing.assert_allclose(two["held_out"], one["held_out"], rtol=1e-4)

    for name, values in one["weights"].items():
        # The bias of the keys has no effect, so its gradient is only rounding, which Adam
        # magnifies.
        if not name.endswith("c_attn.bias"):
            np.testing.assert_allclose(
                two["weights"][name], values, rtol=1e-3, atol=1e-4, err_msg=name
            )


def test_the_model_learns(alone: dict[str, dict[str, Any]]):
    assert alone["tied"]["curve"][-1] < alone["tied"]["curve"][0] - 0.1


def test_both_processes_agree_and_hold_half_each(
    found: list[dict[str, Any]], alone: dict[str, dict[str, Any]]
):
    for case, first in found[0].items():
        other = found[1][case]
        for figures in ("curve", "fit", "held_out"):
            assert first[figures] == other[figures], case
        assert first["weights"] and not other["weights"]

    for case in ("tied", "untied, clipped"):
        first = found[0][case]["parts"]
        other = found[1][case]["parts"]
        whole = alone[case]["parts"]
        assert first + other == whole
        assert 0.45 < first / whole < 0.55


def test_tied_embeddings_stay_one_tensor(found: list[dict[str, Any]]):
    table = "transformer.transformer.wte.weight"
    head = "transformer.lm_head.weight"
    tied = found[0]["tied"]
    untied = found[0]["untied, clipped"]
    assert tied["weights"][table] == tied["weights"][head]
    assert untied["weights"][table] != untied["weights"][head]
    assert untied["parts"] > tied["parts"]


def test_interrupted_training_resumes_bit_for_bit_dropout_included(found: list[dict[str, Any]]):
    whole, kept, gone_on = (found[0][name] for name in ("dropout", "kept", "gone on"))
    assert whole == kept
    assert gone_on["fit"][3] == CUT_AFTER
    assert gone_on["fit"][:3] == whole["fit"][:3]
    for figures in ("curve", "weights", "held_out"):
        assert gone_on[figures] == whole[figures], figures


def test_two_processes_resume_from_one(found: list[dict[str, Any]]):
    gone_on = found[0]["gone on from one process"]
    whole = found[0]["kept, clipped"]
    assert gone_on["fit"][3] == CUT_AFTER
    assert whole["fit"][3] is None
    np.testing.assert_allclose(gone_on["curve"], whole["curve"], rtol=1e-5)


def test_one_process_resumes_from_two(folder: Path, found: list[dict[str, Any]]):
    gone_on = go(CLIPPED, ALONE, kept_in(folder / "for one", OnlyRead))
    whole = found[0]["kept, clipped"]
    assert gone_on["fit"][3] == CUT_AFTER
    assert gone_on["curve"][:CUT_AFTER] == whole["curve"][:CUT_AFTER], "from the file"
    np.testing.assert_allclose(gone_on["curve"], whole["curve"], rtol=1e-5)


def test_gradients_are_clipped_by_the_norm_of_the_whole(folder: Path, tmp_path: Path):
    """Adam's steps hardly depend on the length of a gradient, but its moments do."""
    go({}, ALONE, kept_in(tmp_path, CutOff))
    two, one, loose = (
        kept_in(path).load(two_processes.CPU)
        for path in (folder / "for one", folder / "of one", tmp_path)
    )

    assert two and one and loose and two.step == one.step == loose.step == CUT_AFTER
    for name, moment in one.first_moments.items():
        torch.testing.assert_close(two.first_moments[name], moment, rtol=1e-3, atol=1e-7)
        torch.testing.assert_close(
            two.second_moments[name], one.second_moments[name], rtol=1e-3, atol=1e-10
        )
        assert loose.first_moments[name].norm() > 2 * moment.norm() or name.endswith("c_attn.bias")


# Parts that need no second process


@pytest.mark.parametrize(("rows", "count"), [(12, 2), (7, 3), (1, 4), (5, 5)])
def test_slices_are_all_rows_once_and_nearly_equal(rows: int, count: int):
    parts = [Processes(rank, count).slice_of(np.arange(rows)) for rank in range(count)]
    sizes = [len(part) for part in parts]
    assert np.concatenate(parts).tolist() == list(range(rows))
    assert max(sizes) - min(sizes) <= 1


def test_blocks_are_the_transformers():
    with torch.device("meta"):
        small: dict[str, Any] = {"vocab_size": 10, "bos_token_id": None, "eos_token_id": None}
        gpt2 = CausalLM(
            GPT2LMHeadModel(GPT2Config(n_embd=8, n_head=2, n_layer=3, n_positions=4, **small))
        )
        size: dict[str, Any] = {
            "hidden_size": 8,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "intermediate_size": 16,
        }
        neox = CausalLM(GPTNeoXForCausalLM(GPTNeoXConfig(**size, **small)))
    assert [type(block).__name__ for block in blocks(gpt2)] == ["GPT2Block"] * 3
    assert [type(block).__name__ for block in blocks(neox)] == ["GPTNeoXLayer"] * 2


def test_for_one_process_nothing_changes():
    tensor = torch.arange(3.0)
    assert ALONE.broadcast("x") == "x"
    assert ALONE.all_reduce(tensor) is tensor
    assert ALONE.all_gather(tensor) is tensor
    assert ALONE.gather({"a": tensor})["a"] is tensor
