"""The names of the installed tasks: built-in ones, and those of other packages. No task is loaded,
and neither is torch."""

import importlib.metadata

BUILT_IN = {
    "text": "tasks.text:TextWindows",
    "text-stream": "tasks.text_stream:TextStream",
    "pretrained": "tasks.pretrained:Pretrained",
    "mnist": "tasks.mnist:Mnist",
    "sphere": "tasks.sphere:Sphere",
}

ENTRY_POINT_GROUP = "unilaw.tasks"


def installed() -> dict[str, str]:
    """Return name → "module:Class" of the built-in tasks and of other packages' entry points."""
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {**{p.name: p.value for p in points}, **BUILT_IN}
