"""The sweep files of a report, as its page carries them for `unilaw run --from PAGE`: plain data,
never code, without the maker's store and places."""

import yaml

from reports.evidence import Evidence
from reports.mailable import mailable


def sweep_texts(evidence: Evidence) -> list[dict[str, str]]:
    """Return name and text of every sweep, the newest text of each name."""
    newest = {sweep.name: sweep.text for sweep in evidence.sweeps}
    stores = evidence.stores.values()
    return [
        {"name": name, "text": mailable(without_store(text), *stores)}
        for name, text in newest.items()
    ]


def without_store(text: str) -> str:
    """Return a sweep file's text without the place of its store, which is the maker's own.

    A text that is no mapping in YAML's block style comes back unchanged where it names no store,
    and empty where it may name one, since the store cannot be cut out of it.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text if "store" not in text else ""
    if not isinstance(node, yaml.MappingNode):
        return text if "store" not in text else ""

    kept = text.splitlines(keepends=True)
    for key, value in reversed(node.value):
        if isinstance(key, yaml.ScalarNode) and key.value == "store":
            if node.flow_style:
                return ""
            last = max(value.end_mark.line, key.start_mark.line)
            whole = value.end_mark.column > 0 or last == key.start_mark.line
            del kept[key.start_mark.line : last + 1 if whole else last]
    return "".join(kept)
