"""Language models that came trained: what a row says of them, which are refused, and that none
of their code is run."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from harness.errors import UserError
from harness.execution.embedded_windows import LastPosition
from harness.planning.plan import plan
from harness.store.store import Store
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Trial
from tasks import pretrained
from tasks.corpora import load_corpus
from tasks.pretrained import Pretrained, PretrainedConfig, model_folder, trained_on
from tasks.tokenizers import train_bpe
from tests.execution.test_language_trials import unilaw
from tests.tasks.test_text import run, write_texts

VOCABULARY, LONGEST, WIDTH = 400, 32, 16
TASK = Pretrained()

SHAPES: dict[str, PreTrainedConfig] = {
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=LONGEST,
        n_embd=WIDTH,
        n_layer=2,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "gpt-neox": GPTNeoXConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=LONGEST,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "llama": LlamaConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=LONGEST,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "opt": OPTConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=LONGEST,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=32,
        word_embed_proj_dim=WIDTH,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    ),
    "opt with a narrow embedding": OPTConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=LONGEST,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=32,
        word_embed_proj_dim=8,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    ),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_texts(tmp_path_factory.mktemp("texts"), documents=40, words=200)


@pytest.fixture(scope="module")
def models(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of every shape, each with a tokenizer, as their save_pretrained
    writes them."""
    folder = tmp_path_factory.mktemp("models")
    documents = [path.read_bytes() for path in sorted(Path(source.removeprefix("text:")).iterdir())]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train_bpe(documents, VOCABULARY), eos_token="<|endoftext|>"
    )
    for name, shape in SHAPES.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(shape)
            for p in model.parameters():
                p.data += 0.05 * torch.randn(p.shape)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Path:
    """A copy of the GPT-2, to be damaged."""
    return Path(shutil.copytree(models / "gpt2", tmp_path / "model"))


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    model_folder.cache_clear()
    yield
    model_folder.cache_clear()


def sweep(source: str, model: str, **fixed: Any) -> Sweep:
    fixed = {"context": 16, **fixed, "source": source, "model": model}
    return parse_sweep(
        f"name: a\nseeds: [0]\ntasks:\n  - task: pretrained\n    fixed: {fixed}\n", "sweep.yaml", {}
    )


def trial(source: str, folder: Path, **fixed: Any) -> Trial:
    return sweep(source, f"folder:{folder}", **fixed).trials[0]


# Rows


def test_a_row_of_a_model_of_which_nothing_is_known(source: str, models: Path):
    (c,) = run(trial(source, models / "gpt2"))
    assert c["status"] == "ok", c["failure_message"]
    model = AutoModelForCausalLM.from_pretrained(models / "gpt2")
    assert (
        c["p"]
        == model.num_parameters()
        == sum(group["trainable"] for group in c["params_by_group"])
        and c["p_frozen"] == 0
    )
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
    assert (
        c["stop_reason"],
        c["epochs"],
        c["steps"],
        c["flops"],
        c["train_s"],
        c["below_noise"],
    ) == ("not_trained", 0, 0, 0.0, 0.0, False)

    corpus = load_corpus(source, f"folder:{models / 'gpt2'}")
    stream = torch.from_numpy(corpus.held_out.astype("int64"))
    windows = stream.unfold(0, 17, 16)
    with torch.no_grad():
        loss = F.cross_entropy(model(windows[:, :-1]).logits.transpose(1, 2), windows[:, 1:])
    assert c["test_loss"] == pytest.approx(float(loss), rel=1e-5) and c["test_n"] == 16 * len(
        windows
    )
    assert c["bits_per_byte"] == pytest.approx(
        float(loss) / torch.tensor(2.0).log().item() * corpus.tokens_per_byte, rel=1e-5
    )


def test_what_is_said_of_its_training_is_in_the_row(source: str, models: Path):
    (c,) = run(trial(source, models / "gpt2", trained_tokens=10**6))
    assert (c["tokens_distinct"], c["tokens_seen"], c["n"]) == (10**6, 10**6, 10**6 // 16)
    assert c["params_per_token"] == c["p"] / 1e6 and c["p_over_nd_ambient"] == pytest.approx(
        c["p"] / (1e6 * WIDTH)
    )


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
    mine = PretrainedConfig(model=model, trained_tokens=5)
    assert (TASK.tokens_distinct(mine), TASK.tokens_seen(mine)) == (5, 5)
    known = trained_on(model)
    assert known is None or "arXiv" in known.source


@pytest.mark.parametrize("name", SHAPES)
def test_models_of_several_kinds(source: str, models: Path, name: str):
    found = plan(sweep(source, f"folder:{models / name}"), print)
    config = PretrainedConfig(source=source, model=f"folder:{models / name}", context=16)
    model = TASK.model(config)
    (cell,) = found.cells
    assert (
        cell.p == model.transformer.num_parameters()
        and cell.tokens_distinct is None
        and cell.flops_at_most == 0
    )
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


# Last words


def by_hand(models: Path, texts: list[str]) -> list[bool]:
    """Whether greedy decoding writes the last word, token by token."""
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(models / "gpt2"),
        AutoTokenizer.from_pretrained(models / "gpt2"),
    )
    right = []
    for text in texts:
        before, _, word = text.rpartition(" ")
        tokens, ending = tokenizer(before)["input_ids"], tokenizer(f" {word}")["input_ids"]
        written = []
        for _ in ending:
            with torch.no_grad():
                written.append(
                    int(model(torch.tensor([(tokens + written)[-LONGEST:]])).logits[0, -1].argmax())
                )
        right.append(written == ending)
    return right


def test_last_words_are_those_of_greedy_decoding(source: str, models: Path, tmp_path: Path):
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(models / "gpt2"),
        AutoTokenizer.from_pretrained(models / "gpt2"),
    )
    words = sorted(set(Path(source.removeprefix("text:"), "000.txt").read_text().split()))
    texts = []
    for number, word in enumerate(words):
        passage = " ".join(words[: 1 + number % 7] + [word])
        with torch.no_grad():
            said = tokenizer.decode(
                model(torch.tensor([tokenizer(passage)["input_ids"][-LONGEST:]]))
                .logits[0, -1]
                .argmax()
            )
        texts.append(passage + (said if re.fullmatch(r" [a-z]+", said) else " " + word))
    expected = by_hand(models, texts)
    assert 0 < sum(expected) < len(texts), "or the test would not tell right from wrong"
    (tmp_path / "words.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in [*texts, "word", "  "])
    )
    (c,) = run(trial(source, models / "gpt2", last_words=f"jsonl:{tmp_path / 'words.jsonl'}"))
    assert c["last_word_accuracy"] == sum(expected) / len(texts) and c["last_word_n"] == len(texts)


def test_last_words_are_read_up_to_a_limit_and_are_part_of_the_identity(
    source: str, models: Path, tmp_path: Path
):
    path = tmp_path / "words.jsonl"
    path.write_text(
        "".join(
            json.dumps({"text": f"one two {word}"}) + "\n" for word in ("three", "four", "five")
        )
    )
    given = PretrainedConfig(
        source=source,
        model=f"folder:{models / 'gpt2'}",
        last_words=f"jsonl:{path}",
        last_words_most=2,
    )
    assert len(TASK.last_words(given)) == 2
    with_words, without = (
        trial(source, models / "gpt2", last_words=f"jsonl:{path}"),
        trial(source, models / "gpt2"),
    )
    assert with_words.trial_id != without.trial_id


def test_texts_without_two_words_are_refused(source: str, models: Path, tmp_path: Path):
    (tmp_path / "words.jsonl").write_text('{"text": "one"}\n')
    given = PretrainedConfig(
        source=source,
        model=f"folder:{models / 'gpt2'}",
        last_words=f"jsonl:{tmp_path / 'words.jsonl'}",
    )
    with pytest.raises(UserError, match="'last_words' is .* and has no text of two words"):
        TASK.last_words(given)


# What is refused


@pytest.mark.parametrize(
    "model",
    [
        "../secret",
        "a/../b",
        "..",
        "./x",
        "/etc/passwd",
        "a/b/c",
        "a//b",
        "",
        "folder:",
        "a b",
        "a/",
        "-x",
        "a\nb",
        "http://x/y",
    ],
)
def test_names_that_are_none(source: str, model: str):
    with pytest.raises(
        ValueError,
        match=(
            "'model' must be a name on the hub, like 'openai-community/gpt2', or 'folder:PATH', not"
        ),
    ):
        PretrainedConfig(source=source, model=model)


@pytest.mark.parametrize(
    "model",
    [
        "gpt2",
        "openai-community/gpt2",
        "EleutherAI/pythia-1.4b",
        "a_b/c-d.e",
        "folder:x",
        "folder:/a b/c",
    ],
)
def test_names_that_are(model: str):
    assert PretrainedConfig(model=model).model == model


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "windows to train on": (dict(n=5), ["n", "5", "0"]),
    "epochs": (dict(max_epochs=1), ["max_epochs", "1", "0"]),
    "a revision of a folder": (dict(revision="main"), ["'revision' belongs to a model of the hub"]),
    "texts that are no source": (
        dict(last_words="words.jsonl"),
        ["last_words", "'words.jsonl'", "'jsonl:PATH'"],
    ),
    "no tokens": (dict(trained_tokens=0), ["trained_tokens", "0", "1"]),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_named(
    source: str, models: Path, given: dict[str, Any], words: list[str]
):
    with pytest.raises(UserError) as refused:
        sweep(source, f"folder:{models / 'gpt2'}", **given)
    said = str(refused.value)
    assert all(word in said for word in words) and "\n" not in said, said


def edited(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def without_a_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["transformer.h.1.mlp.c_fc.weight"]
    save_file(tensors, path, metadata={"format": "pt"})


DAMAGE: dict[str, tuple[Any, str]] = {
    "weights that are pickles": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "has no *.safetensors weights",
    ),
    "no configuration": (
        lambda f: (f / "config.json").unlink(),
        "needs a folder with config.json and *.safetensors",
    ),
    "no model of a known kind": (
        lambda f: edited(f, model_type="mine", auto_map={"AutoConfig": "mine.Mine"}),
        "is not one of a known model",
    ),
    "a configuration that is no JSON": (
        lambda f: (f / "config.json").write_text("{"),
        "is not one of a known model",
    ),
    "weights cut short": (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes()[:2000]
        ),
        "could not be loaded",
    ),
    "a weight missing": (
        without_a_weight,
        "lacks 1 of its weights, transformer.h.1.mlp.c_fc.weight among them",
    ),
    "a tokenizer of more tokens": (
        lambda f: edited(f, vocab_size=300),
        "has 300 tokens and its tokenizer 400: they do not go together",
    ),
    "no tokenizer": (
        lambda f: [path.unlink() for path in f.glob("tokenizer*")],
        "comes without its tokenizer; it needs one of tokenizer.json",
    ),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE.keys())
def test_models_that_are_refused(source: str, copied: Path, damage: Any, words: str):
    damage(copied)
    with pytest.raises(UserError) as refused:
        config = PretrainedConfig(source=source, model=f"folder:{copied}", context=16)
        TASK.corpus(config)
        TASK.model(config)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_more_context_than_the_model_reads(source: str, models: Path):
    with pytest.raises(
        UserError, match=f"reads {LONGEST} tokens and 'context' is {LONGEST + 1}; lower it"
    ):
        plan(sweep(source, f"folder:{models / 'gpt2'}", context=LONGEST + 1), print)
    (columns,) = run(trial(source, models / "gpt2", context=LONGEST + 1))
    assert columns["status"] == "failed" and f"reads {LONGEST} tokens" in columns["failure_message"]
    (columns,) = run(trial(source, models / "gpt2", context=LONGEST))
    assert columns["status"] == "ok", columns["failure_message"]


def test_code_that_comes_with_a_model_is_never_run(source: str, copied: Path, tmp_path: Path):
    marker = tmp_path / "ran"
    (copied / "mine.py").write_text(f"open({str(marker)!r}, 'w')\nclass Mine: pass\n")
    tokenizer = json.loads((copied / "tokenizer_config.json").read_text())
    (copied / "tokenizer_config.json").write_text(
        json.dumps({**tokenizer, "auto_map": {"AutoTokenizer": [None, "mine.Mine"]}})
    )
    edited(copied, auto_map={"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Mine"})
    try:
        (columns,) = run(trial(source, copied))
        assert columns["status"] == "ok", columns["failure_message"]  # by transformers' own classes
    except UserError as e:
        assert "could not be loaded" in str(e)
    assert not marker.exists()


# The hub


class Hub:
    """What `snapshot_download` was asked for, and the folder or the mistake that it gives."""

    def __init__(self, gives: Path | Exception):
        self.gives, self.asked = gives, []

    def __call__(self, name: str, **about: Any) -> str:
        self.asked.append((name, about))
        if isinstance(self.gives, Exception):
            raise self.gives
        return str(self.gives)


@pytest.mark.parametrize("revision", [None, "v1"])
def test_a_model_of_the_hub_is_downloaded_once(
    source: str, models: Path, revision: str | None, monkeypatch: pytest.MonkeyPatch
):
    hub = Hub(models / "gpt2")
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    given = {"revision": revision} if revision else {}
    (c,) = run(sweep(source, "EleutherAI/pythia-70m", **given).trials[0])
    assert (
        c["status"] == "ok"
        and c["tokens_distinct"] == 299_892_736_000
        and c["n"] == round(299_892_736_000 / 16)
    )
    assert hub.asked == [
        ("EleutherAI/pythia-70m", {"revision": revision, "allow_patterns": pretrained.MODEL_FILES})
    ]
    assert not [
        pattern
        for pattern in pretrained.MODEL_FILES
        if pattern.endswith((".bin", ".py", ".pt", "*"))
    ], "no code, no pickles"


def test_a_hub_that_does_not_answer(source: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", Hub(ConnectionError("no route")))
    with pytest.raises(
        UserError,
        match=(
            r"'openai-community/gpt2' could not be loaded from the hub \(ConnectionError\);"
            r" .*'folder:PATH'"
        ),
    ):
        sweep(source, "openai-community/gpt2")


# A store of such rows


def test_a_store_of_pretrained_models_is_reported(source: str, models: Path, tmp_path: Path):
    (tmp_path / "words.jsonl").write_text(
        "".join(json.dumps({"text": f"one two number {n}"}) + "\n" for n in range(5))
    )
    fixed = f'{{source: "{source}", context: 16, last_words: "jsonl:{tmp_path / "words.jsonl"}"}}'
    grid = f'{{model: ["folder:{models / "gpt2"}"], trained_tokens: [1000000]}}'
    text = (
        "name: a\nseeds: [0]\nlimits: {measure_points: 2}\ntasks:\n  - task: pretrained\n   "
        f" fixed: {fixed}\n    grid: {grid}\n"
    )
    text += (
        f'  - task: pretrained\n    fixed: {{source: "{source}", context: 8, model:'
        f' "folder:{models / "gpt-neox"}"}}\n'
    )
    (tmp_path / "a.yaml").write_text(text)
    assert (
        unilaw("run", str(tmp_path / "a.yaml"), "--inline", "--store", str(tmp_path / "rows")) == 0
    )
    rows = Store.open(tmp_path / "rows").read().rows.sort_values("d_ambient")
    assert rows["status"].tolist() == ["ok", "ok"] and rows["tokens_distinct"].isna().tolist() == [
        True,
        False,
    ]
    assert (
        rows["weights_file"].isna().all()
        and rows["stability_attack_mean"].notna().all()
        and rows["noise_kl"].notna().all()
    )
    assert unilaw("measure", str(tmp_path / "rows"), "--again", "--inline") == 0
    assert unilaw("report", str(tmp_path / "rows"), "-o", str(tmp_path / "report.html")) == 0
    assert "pretrained" in (tmp_path / "report.html").read_text()
