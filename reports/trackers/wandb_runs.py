"""Trials as offline runs of Weights & Biases, below ./wandb. `wandb sync wandb/offline-run-*` sends
them."""

import os
import shutil
from pathlib import Path

from reports.trackers.runs import Run

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb is imported

import wandb  # noqa: E402 # pyright: ignore[reportMissingImports]

MARK = "unilaw-project"
"""A file in a run's folder that names its project, written last: a run without it was cut off."""


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
            x_save_requirements=False,  # the names of all installed packages
            host="",
            username="",
            program="",
        )

    def known(self) -> dict[str, str]:
        """Return the version of each trial that this project has whole."""
        whole = [folder for folder in self._folders("*-*") if _project_of(folder) == self.project]
        ids = [folder.name.split("-", 3)[3] for folder in whole]
        return dict(run_id.split("-", 1) for run_id in ids)

    def send(self, run: Run) -> None:
        """Write a run, in place of the trial's earlier ones that were not synced."""
        for folder in self._folders(f"{run.trial}-*"):
            ours = _project_of(folder) in (None, self.project)  # None: it was cut off
            if ours and not list(folder.glob("*.synced")):
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
        newest = self._folders(f"{run.trial}-{run.version}")[-1]
        (newest / MARK).write_text(self.project, encoding="utf-8")

    def _folders(self, ids: str) -> list[Path]:
        return sorted(self.folder.glob(f"offline-run-*-{ids}"))


def _project_of(folder: Path) -> str | None:
    mark = folder / MARK
    return mark.read_text(encoding="utf-8") if mark.is_file() else None
