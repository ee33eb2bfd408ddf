"""Trials as offline runs of Weights & Biases, below ./wandb. `wandb sync wandb/offline-run-*` sends
them."""

import os
import shutil
from pathlib import Path

from reports.trackers.runs import Run

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb is imported

import wandb  # noqa: E402 # pyright: ignore[reportMissingImports]


class Tracker:
    """A project of W&B on this disk. A run's id is that of its trial and its row."""

    def __init__(self, project: str):
        self.project = project
        self.folder = Path.cwd() / "wandb"
        self.settings = wandb.Settings(
            mode="offline",
            silent=True,
            console="off",
            disable_git=True,
            save_code=False,
            x_disable_meta=True,  # user, host, path and arguments of the process
            x_disable_stats=True,
            x_disable_machine_info=True,
            host="",
            username="",
            program="",
        )

    def known(self) -> dict[str, str]:
        """Return the version of each trial that has a folder."""
        ids = [folder.name.split("-", 3)[3] for folder in self._folders("*-*")]
        return dict(run_id.split("-", 1) for run_id in ids)

    def send(self, run: Run) -> None:
        """Write a run, in place of the trial's earlier ones that were not synced."""
        for folder in self._folders(f"{run.trial}-*"):
            if not list(folder.glob("*.synced")):
                shutil.rmtree(folder)

        made = wandb.init(
            project=self.project,
            id=f"{run.trial}-{run.version}",
            name=run.name,
            config=run.config,
            dir=self.folder.parent,
            settings=self.settings,
        )
        made.log(run.figures)
        made.finish(exit_code=0 if run.ok else 1)

    def _folders(self, ids: str) -> list[Path]:
        return sorted(self.folder.glob(f"offline-run-*-{ids}"))
