"""Put the rows of a store into a data set of the Hugging Face Hub.

share("runs/quickstart", "hub:USER/NAME")
"""

import io
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from harness.errors import UserError
from harness.store.schema import COLUMNS
from reports.latest_rows import latest_rows
from reports.trackers.push import refuse_empty, sweep_name
from reports.trackers.what_leaves import what_leaves

FILE = "rows.parquet"


class Shared(NamedTuple):
    """What was put where."""

    url: str
    rows: int
    private: bool
    withheld: dict[str, int]
    """Column → values that were not sent."""


def share(where: str | Path, to: str, public: bool = False) -> Shared:
    """Put the newest row of each trial, and a page that explains the columns, into a data set. It
    is made if need be, private unless `public` is true.

    The token is the one that `hf auth login` keeps, or HF_TOKEN. Raises UserError for a name that
    is none, an empty store, a data set that is public already and not meant to be, and when the Hub
    refuses.
    """
    name = re.fullmatch(r"hub:([\w.-]+/[\w.-]+)", to)
    if name is None:
        raise UserError(
            f"--to {to[:80]!r}: must be hub:USER/NAME, a data set of the Hugging Face Hub"
        )

    rows = latest_rows(where)
    refuse_empty(rows, where)
    leaving = what_leaves(rows)
    content = io.BytesIO()
    _one_type_a_column(leaving.rows).to_parquet(content, index=False)
    card = _card(sweep_name(leaving.rows), leaving.rows)
    files = {FILE: content.getvalue(), "README.md": card.encode()}
    url, private = _put(name[1], files, public)
    return Shared(url, len(rows), private, leaving.withheld)


def _one_type_a_column(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with texts in columns whose values Arrow finds no one type for, as where two
    tasks have fields of one name: Parquet has one type a column."""
    together = rows.copy()
    for name in together.columns:
        try:
            pa.array(together[name], from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            together[name] = together[name].map(str, na_action="ignore")
    return together


def _put(repo: str, files: dict[str, bytes], public: bool) -> tuple[str, bool]:
    """Write the files in one commit. Return the data set's address, and whether it is private: one
    that was there keeps what it was."""
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    try:
        url = api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        private = bool(api.repo_info(repo, repo_type="dataset").private)
        if not public and not private:
            raise UserError(
                f"the data set {repo} is public, so the rows were not sent; --public says that they"
                " may be"
            )
        api.create_commit(
            repo,
            [CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message="Rows of a sweep",
            repo_type="dataset",
        )
    except UserError:
        raise
    except Exception as e:  # which classes it raises changes with its HTTP library
        reason = next(iter(str(e).splitlines()), "")
        raise UserError(
            f"the Hub did not take the rows: {type(e).__name__}: {reason[:300]}"
        ) from None
    return str(url), private


def _card(sweep: str, rows: pd.DataFrame) -> str:
    """Return the data set's page, in Markdown."""
    meanings = {column.name: column for column in COLUMNS}
    lines = [
        "---",
        f"configs: [{{config_name: default, data_files: {FILE}}}]",
        "---",
        f"# {sweep}",
        "",
        f"{len(rows)} trials of a sweep by unilaw, a benchmark of the law of robustness (Bubeck and"
        " Sellke, 2021). One row for each trial, its newest measurement. Columns that are not"
        " listed are fields of the trials' configurations.",
        "",
        "| column | unit | is | meaning |",
        "|---|---|---|---|",
    ]
    for name in map(str, rows.columns):
        if column := meanings.get(name):
            lines.append(f"| `{name}` | {column.unit} | {column.bound} | {column.meaning} |")
    return "\n".join(lines) + "\n"
