"""Trials of language models, end to end: a run, its measures, and measuring its weights again.

Run alone: python -m pytest tests/execution/test_language_trials.py
"""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.cli import main
from harness.store.latest import latest
from harness.store.store import Store
from tests.tasks.inline_trials import run
from tests.tasks.random_texts import write_texts
from tests.tasks.test_text_stream import trial

pytestmark = pytest.mark.slow

SWEEP = """
name: stream
seeds: [0]
limits: {{measure_points: 3}}
tasks:
  - task: text-stream
    fixed: {{source: "{source}", n: 64, context: 8, batch_size: 8, depth: 1}}
"""


def unilaw(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["unilaw", *arguments])
        try:
            main()
        except SystemExit as e:
            return int(e.code or 0)
    return 0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    source = write_texts(folder / "texts", documents=40, words=200)
    sweep = folder / "stream.yaml"
    sweep.write_text(SWEEP.format(source=source))
    rows = folder / "rows"
    assert unilaw("run", str(sweep), "--inline", "--store", str(rows)) == 0
    return rows


def row(store: Path) -> dict[str, Any]:
    (only,) = latest(Store.open(store).read().rows).to_dict("records")
    return {str(name): value for name, value in only.items()}


def test_what_is_measured_in_the_space_of_embeddings(store: Path):
    c = row(store)
    assert (c["status"], c["measure_points"], c["d_ambient"]) == ("ok", 3, 8 * 16)
    for name in (
        "stability_attack_mean",
        "stability_first_order_mean",
        "lip_lower_jacobian",
        "lip_lower_pairs",
        "lip_mean_grad",
        "lip_lower_logprob_pairs",
        "margin_mean",
        "d_participation",
        "d_twonn",
        "data_unit",
        "pair_distance_mean",
    ):
        assert math.isfinite(c[name]), name
    assert c["p_over_nd_participation"] == pytest.approx(c["p"] / (64 * c["d_participation"]))
    assert 0 < c["noise_kl"][0] < c["noise_kl"][-1]
    assert c["lip_lower_residual"] < 0.1
    assert {(change["kind"], change["distance"]) for change in c["token_changes"]} == {
        (kind, d)
        for kind in ("replaced", "swapped", "typo")
        for d in (1, 2, 4, 8)
        if d < 8 or kind != "swapped"
    }
    assert c["test_n"] % 8 == 0
    assert c["test_n"] > 100, "every position of held-out text, not the windows embedded"
    assert pd.isna(c["lip_upper_product"]) and c["lip_upper_note"]
    assert pd.isna(c["last_word_accuracy"])
    assert c["weights_file"]


def test_measured_again_it_says_the_same(store: Path):
    before = row(store)
    options = ("--again", "--read-sources", "--points", "3", "--inline")
    assert unilaw("measure", str(store), *options) == 0
    after = row(store)
    assert pd.notna(after["measured_at"]) and pd.isna(before["measured_at"])
    for name in (
        "test_loss",
        "test_loss_se",
        "bits_per_byte",
        "test_accuracy",
        "ece",
        "stability_attack_mean",
        "lip_lower_pairs",
        "lip_mean_jacobian",
        "d_participation",
        "p_over_nd_ambient",
        "p_over_nd_twonn",
        "data_unit",
        "margin_mean",
    ):
        assert after[name] == pytest.approx(before[name], rel=1e-5), name
    for name in (
        "trial_id",
        "p",
        "train_loss",
        "tokens_distinct",
        "tokens_seen",
        "flops",
        "steps",
        "data_hash",
        "weights_file",
        "outputs",
    ):
        assert after[name] == before[name], name
    assert [c["kl"] for c in after["token_changes"]] == pytest.approx(
        [c["kl"] for c in before["token_changes"]], rel=1e-3, abs=1e-9
    )
    assert len(after["loss_curve"]) == len(before["loss_curve"]) == 8


def test_status_and_report_know_language_models(store: Path, capsys: pytest.CaptureFixture[str]):
    assert unilaw("status", str(store)) == 0
    assert "text-stream" in capsys.readouterr().out

    page = store.parent / "report.html"
    assert unilaw("report", str(store), "-o", str(page)) == 0
    assert "text-stream" in page.read_text()


def test_a_trial_of_short_documents_is_a_row_that_says_so(tmp_path: Path):
    source = write_texts(tmp_path / "texts", documents=60, words=4)
    (columns,) = run(trial(source, n=4, context=64), points=2)
    assert columns["status"] == "failed"
    assert "windows of 65 tokens that lie within one document" in columns["failure_message"]
