"""Where the row came from: data, code, versions, hardware and times."""

from harness.store.column import BOOL, F64, I32, STR, TIME, Column

PROVENANCE: tuple[Column, ...] = (
    Column("data_hash", STR, "", "SHA-256 of the tensors trained and tested on"),
    Column(
        "data_note",
        STR,
        "",
        "what is doubtful about the data: that the task drew them from a generator that the whole"
        " process shares, and not from the trial's seed; null otherwise",
    ),
    Column(
        "unilaw_version",
        STR,
        "",
        "version of this package in the process that ran the trial",
        required=True,
    ),
    Column(
        "rules",
        STR,
        "",
        "version and hash of the report's verdict rules in that process; null in rows of schema 7"
        " and older",
    ),
    Column("commit", STR, "", "git commit of the source tree; null when not run from one"),
    Column("dirty", BOOL, "", "the source tree had uncommitted changes"),
    Column("python_version", STR, "", ""),
    Column("torch_version", STR, "", ""),
    Column("ray_version", STR, "", "null for an inline run"),
    Column("cpu", STR, "", "processor model of the worker"),
    Column("threads", I32, "count", "torch threads used by the trial"),
    Column("gpu", STR, "", "GPU model; null when the trial ran on CPU"),
    Column("gpus", F64, "GPUs", "GPUs that the trial ran on; below 1 a share of one; 0 on CPU"),
    Column(
        "environment_json",
        STR,
        "",
        "the environment variables of a fixed list that change results or speed, as JSON",
    ),
    Column("started_at", TIME, "UTC", "when the attempt started"),
    Column("finished_at", TIME, "UTC", "when the driver wrote the row", required=True),
    Column("measures_version", I32, "", "version of the instruments", required=True),
    Column(
        "measurement",
        I32,
        "count",
        "0 for what the trial measured itself, one more each time that `unilaw measure` measures it"
        " again; null in rows of schema 8 and older",
    ),
    Column(
        "measured_commit",
        STR,
        "",
        "commit that `unilaw measure` measured the kept weights with; null when measured by the"
        " trial itself",
    ),
    Column("measured_at", TIME, "UTC", "when it did"),
    Column("schema_version", I32, "", "version of this table", required=True),
)
