"""The names of sources of text.

Run alone: python -m pytest tests/tasks/corpora/test_names.py
"""

import pytest

from harness.errors import UserError
from tasks.corpora import load_corpus
from tasks.text_sources import check_source


@pytest.mark.parametrize(
    "name",
    [
        "python-stdlib",
        "hub:wikitext",
        "hub:Salesforce/wikitext@wikitext-103-raw-v1",
        "hub:a/b@c#test",
        "hub:a/b#test",
        "text:a/b.txt",
        "parquet:/x",
        "jsonl:x",
    ],
)
def test_names_that_are_allowed(name: str):
    assert check_source(name) == name


REFUSED = {
    "": "",
    "stdlib": "",
    "python-stdlb": "; did you mean 'python-stdlib'?",
    "python_stdlib": "; did you mean 'python-stdlib'?",
    "txt:books": "; did you mean 'text:books'?",
    "json:rows": "; did you mean 'jsonl:rows'?",
    "text:": "",
    "parquet": "",
    "hub:": "",
    "hub:a@": "",
    "hub:a#": "",
    "hub:a@b@c": "",
    "hub:a#b@c": "",
}


@pytest.mark.parametrize(("name", "hint"), REFUSED.items())
def test_names_that_are_not(name: str, hint: str):
    allowed = "the source of text must be 'python-stdlib', 'hub:NAME', .* 'text:PATH'"
    with pytest.raises(ValueError, match=allowed) as refused:
        check_source(name)
    assert f"not {name!r}" in str(refused.value)
    assert hint in str(refused.value)

    with pytest.raises(UserError, match="the source of text must be"):
        load_corpus(name, "bytes")


def test_a_corpus_of_an_unknown_tokenizer(source: str):
    with pytest.raises(UserError, match="the tokenizer must be 'bytes'"):
        load_corpus(source, "words")
