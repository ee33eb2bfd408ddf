"""The rows of pretrained models: sizes, tokens of training, losses, and a whole store of them.

Run alone: python -m pytest tests/tasks/pretrained/test_measured.py
"""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AutoModelForCausalLM,
)

from harness.execution.language_trials import LastPosition
from harness.planning.plan import plan
from harness.store.store import Store
from tasks.corpora import load_corpus
from tasks.pretrained import PretrainedConfig
from tasks.published_tokens import trained_on
from tests.execution.test_language_trials import unilaw
from tests.tasks.inline_trials import run
from tests.tasks.pretrained.saved_models import (
    SHAPES,
    TASK,
    VOCABULARY,
    WIDTH,
    sweep,
    trial,
)

pytestmark = pytest.mark.slow


def test_a_row_of_a_model_of_which_nothing_is_known(source: str, models: Path):
    (c,) = run(trial(source, models / "gpt2"))
    assert c["status"] == "ok", c["failure_message"]
    model = AutoModelForCausalLM.from_pretrained(models / "gpt2")
    assert c["p"] == model.num_parameters()
    assert c["p"] == sum(group["trainable"] for group in c["params_by_group"])
    assert c["p_frozen"] == 0
    assert (c["family"], c["outputs"], c["d_ambient"]) == ("pretrained", VOCABULARY, 16 * WIDTH)
    for name in (
        "n",
        "tokens_distinct",
        "tokens_seen",
        "params_per_token",
        "train_loss",
        "train_error",
        "loss_curve",
        "weights",
    ):
        assert c[name] is None, name
    assert not {name for name in c if name.startswith("p_over_nd")}
    assert (c["stop_reason"], c["epochs"], c["steps"]) == ("not_trained", 0, 0)
    assert (c["flops"], c["train_s"], c["below_noise"]) == (0.0, 0.0, False)

    corpus = load_corpus(source, f"folder:{models / 'gpt2'}")
    stream = torch.from_numpy(corpus.held_out.astype("int64"))
    windows = stream.unfold(0, 17, 16)
    with torch.no_grad():
        loss = F.cross_entropy(model(windows[:, :-1]).logits.transpose(1, 2), windows[:, 1:])
    assert c["test_loss"] == pytest.approx(float(loss), rel=1e-5)
    assert c["test_n"] == 16 * len(windows)
    bits_per_token = float(loss) / math.log(2)
    assert c["bits_per_byte"] == pytest.approx(bits_per_token * corpus.tokens_per_byte, rel=1e-5)


def test_the_given_number_of_training_tokens_is_in_the_row(source: str, models: Path):
    (c,) = run(trial(source, models / "gpt2", trained_tokens=10**6))
    assert (c["tokens_distinct"], c["tokens_seen"], c["n"]) == (10**6, 10**6, 10**6 // 16)
    assert c["params_per_token"] == c["p"] / 1e6
    assert c["p_over_nd_ambient"] == pytest.approx(c["p"] / (1e6 * WIDTH))


@pytest.mark.parametrize(
    ("model", "distinct", "seen"),
    [
        ("EleutherAI/pythia-70m", 299_892_736_000, 299_892_736_000),
        ("EleutherAI/pythia-1.4b", 299_892_736_000, 299_892_736_000),
        ("EleutherAI/pythia-70m-deduped", None, None),
        ("facebook/opt-125m", 180 * 10**9, None),
        ("facebook/opt-iml-1.3b", None, None),
        ("huggyllama/llama-7b", 10**12, 10**12),
        ("huggyllama/llama-65b", 14 * 10**11, 14 * 10**11),
        ("openai-community/gpt2", None, None),
        ("folder:EleutherAI/pythia-70m", None, None),
    ],
)
def test_published_numbers_of_tokens(model: str, distinct: int | None, seen: int | None):
    config = PretrainedConfig(model=model)
    assert (TASK.tokens_distinct(config), TASK.tokens_seen(config)) == (distinct, seen)
    given = PretrainedConfig(model=model, trained_tokens=5)
    assert (TASK.tokens_distinct(given), TASK.tokens_seen(given)) == (5, 5)
    published = trained_on(model)
    assert published is None or "arXiv" in published.source


@pytest.mark.parametrize("name", SHAPES)
def test_models_of_several_kinds(source: str, models: Path, name: str):
    (cell,) = plan(sweep(source, f"folder:{models / name}"), print).cells
    config = PretrainedConfig(source=source, model=f"folder:{models / name}", context=16)
    model = TASK.model(config)
    assert cell.p == model.transformer.num_parameters()
    assert cell.tokens_distinct is None
    assert cell.flops_at_most == 0
    assert cell.d_ambient == TASK.d_ambient(config) == 16 * model.table().shape[1]
    assert (cell.steps_at_most, cell.tokens_seen_at_most, cell.n) == (0, 0, 0)
    assert not any(module.training for module in model.modules())
    tokens = torch.randint(VOCABULARY, (3, 16), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(LastPosition(model)(model.table()[tokens]), model(tokens)[:, -1])


def test_nothing_is_printed_while_a_model_is_loaded(
    source: str, models: Path, capfd: pytest.CaptureFixture[str]
):
    TASK.model(PretrainedConfig(source=source, model=f"folder:{models / 'gpt2'}", context=16))
    assert capfd.readouterr() == ("", "")


@pytest.mark.soak
def test_a_store_of_pretrained_models_is_reported(source: str, models: Path, tmp_path: Path):
    last_words = tmp_path / "words.jsonl"
    last_words.write_text(
        "".join(json.dumps({"text": f"one two number {n}"}) + "\n" for n in range(5))
    )
    sweep_file = tmp_path / "a.yaml"
    sweep_file.write_text(f"""
name: a
seeds: [0]
limits: {{measure_points: 2}}
tasks:
  - task: pretrained
    fixed: {{source: "{source}", context: 16, last_words: "jsonl:{last_words}"}}
    grid: {{model: ["folder:{models / "gpt2"}"], trained_tokens: [1000000]}}
  - task: pretrained
    fixed: {{source: "{source}", context: 8, model: "folder:{models / "gpt-neox"}"}}
""")
    folder = str(tmp_path / "rows")
    assert unilaw("run", str(sweep_file), "--inline", "--store", folder) == 0
    rows = Store.open(folder).read().rows.sort_values("d_ambient")
    assert rows["status"].tolist() == ["ok", "ok"]
    assert rows["tokens_distinct"].isna().tolist() == [True, False]
    assert rows["weights_file"].isna().all()
    assert rows["stability_attack_mean"].notna().all()
    assert rows["noise_kl"].notna().all()

    report = tmp_path / "report.html"
    assert unilaw("measure", folder, "--again", "--inline") == 0
    assert unilaw("report", folder, "-o", str(report)) == 0
    assert "pretrained" in report.read_text()
