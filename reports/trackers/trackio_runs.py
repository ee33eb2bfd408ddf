"""Trials as runs of a trackio project in its database on this disk (TRACKIO_DIR). `trackio show`
shows them, `trackio sync` sends them to a Space."""

from trackio.sqlite_storage import SQLiteStorage  # pyright: ignore[reportMissingImports]

from reports.trackers.runs import Run

VERSION = "unilaw_version_of_row"


class Tracker:
    """A project of trackio.

    Rows go into the database directly: trackio.init asks the Hub for the user's name, with the
    user's token, and writes it into each run.
    """

    def __init__(self, project: str):
        SQLiteStorage.validate_project_name(project)
        self.project = project

    def known(self) -> dict[str, str]:
        """Return the version of each trial that is there."""
        configs = SQLiteStorage.get_all_run_configs(self.project)
        return {trial: str(config.get(VERSION, "")) for trial, config in configs.items()}

    def send(self, run: Run) -> None:
        """Add a run, in place of the trial's earlier one."""
        SQLiteStorage.delete_run(self.project, run.name, run_id=run.trial)
        SQLiteStorage.bulk_log(
            self.project,
            run.name,
            [run.figures],
            run_id=run.trial,
            steps=[0],
            timestamps=[run.finished.isoformat()],
            config={**run.config, VERSION: run.version},
        )
