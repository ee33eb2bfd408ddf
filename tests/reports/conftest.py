"""Render the page of the rich store once for all tests that read it."""

import pandas as pd
import pytest

from reports.evidence import read_evidence
from reports.page import render
from tests.reports.page_reader import Page
from tests.reports.rich_store import RICH, derived
from tests.reports.stores import make_store


@pytest.fixture(scope="session")
def rich(tmp_path_factory):
    folder = make_store(tmp_path_factory.mktemp("rich") / "store", RICH)
    return Page(render(read_evidence(folder))), pd.read_parquet(folder).set_index(
        "trial_id"
    ).assign(**derived)
