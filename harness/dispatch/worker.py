"""What Ray workers run, and how it makes sure that it runs this package and not a namesake.

`harness`, `tasks`, `clusters` and `reports` are names that a user's own folder may well hold, and
Ray puts the driver's working folder in front of the workers' import path. So this module is sent by
value (see `harness/dispatch/actors.py`): at its top it may import nothing of this package.
"""

import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

NAMES = ("harness", "tasks", "clusters", "reports")


class Worker:
    """A process that holds what its batches take, between them too: its imports, its CUDA
    context, compiled models and data."""

    def node(self, home: str) -> str:
        """Ray's name of the node that it is on, once it is there and ready to work. `home` is
        the folder that holds the packages on the driver's machine; a node that lacks it uses the
        unilaw installed there. Raises ImportError when there is neither."""
        import ray  # here: every command imports this file for `pin`

        pin_on_node(home)
        import harness.execution.run_batch  # noqa: F401, so that no batch's time goes into loading torch

        return ray.get_runtime_context().get_node_id()

    def work(
        self, stacks: list[list[dict[str, Any]]], given: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        """`harness.execution.run_batch.run_batch` in a worker, each TrialResult as a tuple."""
        from harness.execution.run_batch import run_batch
        from harness.sweeps.registry import TaskRef
        from harness.sweeps.trial import Batch, RunSettings, Trial

        trials = tuple(
            tuple(Trial(t["trial_id"], TaskRef(*t["ref"]), t["config"], t["seed"]) for t in stack)
            for stack in stacks
        )
        return [tuple(result) for result in run_batch(Batch(trials), RunSettings(*given))]


def pin_on_node(home: str) -> None:
    """`pin` to `home`, or to the unilaw that is installed here. Raises ImportError when there is
    neither."""
    homes = [
        p
        for p in (home, *sys.path)
        if os.path.isfile(os.path.join(p, "harness", "dispatch", "worker.py"))
    ]
    if not homes:
        raise ImportError("unilaw is not installed on this node")
    pin(homes[0])


def pin(home: str) -> None:
    """Import our packages from the folder `home`, in place of any others of the same names.

    Once a package is in sys.modules its submodules are found through its own path, so this settles
    every later import. Raises ImportError when `home` lacks one.
    """
    for name in NAMES:
        spec = importlib.machinery.PathFinder.find_spec(name, [home])
        if spec is None or spec.loader is None or spec.origin is None:
            raise ImportError(f"unilaw's package '{name}' is not in {home}")
        loaded_from = getattr(sys.modules.get(name), "__file__", None)
        if loaded_from is not None and os.path.realpath(loaded_from) == os.path.realpath(
            spec.origin
        ):
            continue
        for loaded in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
            del sys.modules[loaded]
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
