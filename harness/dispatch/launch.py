"""`unilaw launch`: submit a sweep as a job of a Ray cluster, or join the one that runs already, and
follow it."""

from collections.abc import Callable

from ray.job_submission import JobSubmissionClient

from harness.dispatch import job_log, jobs
from harness.exit_codes import ExitCode
from harness.interruption import exit_code
from harness.sweeps.registry import TaskRef
from harness.sweeps.sweep import Sweep


def launch(
    client: JobSubmissionClient,
    address: str,
    sweep: Sweep,
    refs: dict[str, TaskRef],
    store: str,
    retry_failed: bool,
    detach: bool,
    how_to_follow: str,
    write: Callable[[str], None],
    say: Callable[[str], None],
) -> int:
    """Submit the sweep, or join its running job, and return the exit code.

    `store`: where the rows go, as `jobs.store_for` gives it. `write` is given the job's output, or
    with `detach` its id; `say` is told the rest, line by line. `how_to_follow` is the command line
    that follows the job.
    """
    job = jobs.submit(client, sweep, refs, store, retry_failed)
    state = "is running there already" if job.attached else "is submitted"
    say(f"{job.submission_id} {state}; its rows go to {store}")
    if job.attached and retry_failed:
        say("--retry-failed changes nothing about a job that is running already")

    how_to_stop = f"unilaw cancel {job.submission_id} --address {address}"
    how_to = f"to follow it: {how_to_follow}; to stop it: {how_to_stop}"
    if detach:
        say(how_to)
        write(f"{job.submission_id}\n")
        return ExitCode.DONE

    try:
        details = job_log.follow(client, job.submission_id, write)
    except KeyboardInterrupt as e:
        say(f"detached from {job.submission_id}, which goes on; {how_to}")
        return exit_code(e)
    except job_log.LostSight as e:
        say(f"unilaw: {e}; what has finished is in {store}; run the same command again to continue")
        return ExitCode.FAILED
    say(jobs.how_it_ended(details))
    return jobs.exit_code(details)
