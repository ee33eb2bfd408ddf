"""Trials as runs of an MLflow experiment: at MLFLOW_TRACKING_URI, or at MLflow's own default."""

import os

from reports.trackers.runs import Run

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported

from mlflow import MlflowClient, entities  # noqa: E402 # pyright: ignore[reportMissingImports]

TRIAL = "unilaw.trial"
VERSION = "unilaw.version"
"""Tags of a run. The second is set last, so a run without it was cut off."""

TOGETHER = 100  # parameters in one request; MLflow takes no more


class Tracker:
    """An experiment of MLflow."""

    def __init__(self, project: str):
        # The client, not mlflow.start_run: that one notes the user, the host and the script's path.
        self.client = MlflowClient()
        experiment = self.client.get_experiment_by_name(project)
        self.experiment = experiment or self.client.get_experiment(
            self.client.create_experiment(project)
        )
        self._ids: dict[str, list[str]] = {}

    def known(self) -> dict[str, str]:
        """Return the version of each trial that is there whole."""
        versions: dict[str, str] = {}
        token = None
        while True:
            found = self.client.search_runs([self.experiment.experiment_id], page_token=token)
            for run in found:
                trial = run.data.tags.get(TRIAL, "")
                self._ids.setdefault(trial, []).append(run.info.run_id)
                versions[trial] = run.data.tags.get(VERSION, "")
            token = found.token
            if not token:
                return versions

    def send(self, run: Run) -> None:
        """Add a run, in place of the trial's earlier ones."""
        for earlier in self._ids.pop(run.trial, []):
            self.client.delete_run(earlier)

        at = int(run.finished.timestamp() * 1000)
        made = self.client.create_run(
            self.experiment.experiment_id, at, tags={TRIAL: run.trial}, run_name=run.name
        )
        run_id = made.info.run_id
        params = [entities.Param(key, str(value)) for key, value in run.config.items()]
        for begin in range(0, len(params), TOGETHER):
            self.client.log_batch(run_id, params=params[begin : begin + TOGETHER])
        figures = [entities.Metric(key, value, at, 0) for key, value in run.figures.items()]
        self.client.log_batch(run_id, metrics=figures, tags=[entities.RunTag(VERSION, run.version)])
        self.client.set_terminated(run_id, "FINISHED" if run.ok else "FAILED", at)
