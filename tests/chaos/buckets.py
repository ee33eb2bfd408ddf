"""A store in a bucket whose server fails, is slow, and loses its driver on top: S3's 500 and
503, and answers that take seconds."""

import os
import time
from pathlib import Path
from unittest.mock import patch

from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import load_sweep
from tests import SOAK_TASK
from tests.bucket_server import ENVIRONMENT, BucketServer, Every
from tests.chaos.store_auditor import Result, Runs, StoreAuditor
from tests.nodes import kill

SWEEP = """
name: bucket
seeds: [0, 1]
limits: {measure_points: 64}
tasks:
  - task: sphere
    fixed: {stop: epochs, max_epochs: 600}
    grid: {n: [128, 192, 256], width: [8, 16, 24]}
  - task: marathon
    fixed: {stop: epochs, max_epochs: 600}
    grid: {n: [512, 576]}
"""


class BucketAuditor(StoreAuditor):
    """Watches a store in a bucket."""

    def __init__(self, server: BucketServer, prefix: str):
        super().__init__(server.uri(prefix))
        self.server = server
        self.prefix = prefix

    def names(self) -> list[str]:
        return self.server.names(self.prefix)

    def content(self, name: str) -> bytes:
        return self.server.get(f"{self.prefix}/{name}")


def a_bad_server(folder: Path, every: int, environment: dict[str, str]) -> Result:
    """Answer one of `every` requests with an error, or late. Kill the driver after its first rows,
    and run the same command again."""
    (folder / "bucket.yaml").write_text(SWEEP)
    trials = load_sweep(str(folder / "bucket.yaml"), refs_in(SOAK_TASK)).trials
    with BucketServer() as server, patch.dict(os.environ, ENVIRONMENT):
        trouble = server.trouble = Every(every, "500", "SlowDown", "wait")
        runs = Runs(folder, {**environment, **ENVIRONMENT})
        auditor = BucketAuditor(server, "rows")
        arguments = ["run", "bucket.yaml", "--task-file", SOAK_TASK, "--store", server.uri("rows")]
        try:
            process = runs.start(*arguments)
            while process.poll() is None and not auditor.row_files():
                time.sleep(0.2)
            kill(process.pid)
            process.wait()
            auditor.look("the driver's death")

            process = runs.start(*arguments)
            if process.wait(900) != 0:
                auditor.failures.append(
                    f"the run ended with {process.returncode}: {runs.output(process)}"
                )
        finally:
            runs.end()
        server.trouble = lambda: None
        rows = auditor.conclude([t.trial_id for t in trials], failed={})
        did = {"drivers killed": 1, "requests": trouble.requests, **trouble.met}
        return Result("bucket", did, auditor.counts(rows), auditor.failures)
