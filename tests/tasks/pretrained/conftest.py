"""Fixtures of the tests of task `pretrained`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    PreTrainedTokenizerFast,
)

from tasks.model_files import model_folder
from tasks.tokenizers import train_bpe
from tests.tasks.pretrained.saved_models import SHAPES, VOCABULARY
from tests.tasks.random_texts import write_texts


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_texts(tmp_path_factory.mktemp("texts"), documents=40, words=200)


@pytest.fixture(scope="module")
def models(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of every shape, each with a tokenizer, as their save_pretrained
    writes them."""
    folder = tmp_path_factory.mktemp("models")
    texts = Path(source.removeprefix("text:"))
    documents = [path.read_bytes() for path in sorted(texts.iterdir())]
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
    """Return a copy of the GPT-2, for a test to damage."""
    return Path(shutil.copytree(models / "gpt2", tmp_path / "model"))


@pytest.fixture(autouse=True)
def no_cached_folder() -> Iterator[None]:
    """Forget the folders of models, which tests change."""
    model_folder.cache_clear()
    yield
    model_folder.cache_clear()
