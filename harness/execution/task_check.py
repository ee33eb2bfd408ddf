"""Try a task at its default configuration before anything is swept: each check is one sentence.

for finding in checked(refs_in(Path("shell.py"))["shell"]):
    print(finding.sign, finding.check, finding.sentence)
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from torch import nn

from harness.errors import UserError
from harness.execution.limits import peak_memory
from harness.planning.model_shape import Shape, shape_of
from harness.process_state import own_process_state
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.users_code import UsersCodeRaised, users_code
from harness.task import Config, Data, Seeds, check_dimensions

Sign = Literal["✓", "!", "✗", "–"]
"""Passed; passed with a doubt; failed; not tried, because an earlier check failed."""

SEED = 0
"""The seed of the trial that is tried."""


class Finding(NamedTuple):
    """The outcome of one check, in one sentence."""

    check: str
    sign: Sign
    sentence: str
    traceback: str = ""
    """The lines of the task's own file that led to an exception; empty without one."""


class Wrong(UserError):
    """The task breaks what the engine relies on."""


class Doubtful(UserError):
    """A finding that does not stop the task, but that its user should know."""


class Tried:
    """A task under test, and what the checks so far have got from it. What is None was not got."""

    def __init__(self, ref: TaskRef):
        self.ref = ref
        self.task: Any = load(ref)
        self.seeds = Seeds(SEED)
        self.config: Config | None = None
        self.input_shape: tuple[int, ...] | None = None
        self.data: Data | None = None
        self.corpus: Any = None
        self.shared_generators: list[str] = []
        """The global generators that data() drew from."""
        self.shape: Shape | None = None
        """As counted on the meta device."""
        self.model: nn.Module | None = None
        self.output: tuple[int, ...] | None = None
        """The shape of the model's output, where it is the right one."""


class Check(NamedTuple):
    """One check: `run` returns the sentence of a task that passes, and raises Wrong or Doubtful."""

    name: str
    needs: Sequence[str]
    """The attributes of Tried that must be there."""
    when: str
    """Where an exception of the task's own would come from."""
    run: Callable[[Tried], str]


def tried(ref: TaskRef, checks: Sequence[Check]) -> Iterator[Finding]:
    """Yield the finding of each check, in order. Ctrl-C passes on."""
    task = Tried(ref)
    for check in checks:
        yield _found(task, check)


@own_process_state()
def _found(task: Tried, check: Check) -> Finding:
    missing = [need for need in check.needs if getattr(task, need) is None]
    if missing:
        needed = missing[0].replace("_", " ")
        return Finding(check.name, "–", f"not tried: it needs the {needed}, which failed above")

    try:
        with users_code("the task", check.when):
            return Finding(check.name, "✓", check.run(task))
    except UserError as e:
        sign = "!" if isinstance(e, Doubtful) else "✗"
        return Finding(check.name, sign, str(e), users_traceback(e, task.ref.file))


def users_traceback(e: BaseException, file: str | None) -> str:
    """Return the lines of `file` that led to the exception behind a refusal, as Python prints them;
    empty where the file has no part in it."""
    behind: BaseException | None = e
    while isinstance(behind, UserError):
        behind = behind.__cause__ or behind.__context__
    if behind is None:
        return ""

    if isinstance(behind, SyntaxError) and behind.filename == file:
        *where, _ = traceback.format_exception_only(behind)  # the message is in the sentence
        return "".join(where).rstrip()
    frames = [f for f in traceback.extract_tb(behind.__traceback__) if f.filename == file]
    return "".join(traceback.format_list(frames)).rstrip()


def cost_of(seconds: float, what: str) -> str:
    """Return what one step cost, on a CPU: its seconds, and the most memory that the process has
    held since `reset_peak_memory`, where the system tells."""
    peak = peak_memory("cpu")
    memory = "" if peak is None else f" in a process of {peak / 1e9:.1f} GB"
    return f"{seconds:.2g} s for {what}{memory}"


# What is checked of every task


def _configuration(tried: Tried) -> str:
    task = tried.task
    tried.config = task.Config()
    fields = task.Config.model_fields
    sizes = sorted(task.Config.fields_marked("size"))

    unexplained = [name for name, field in fields.items() if not field.description]
    if unexplained:
        raise Doubtful(
            f"the field '{unexplained[0]}' has no description; `unilaw tasks` shows it to users"
        )
    if not sizes:
        raise Doubtful(
            "no field is declared with Size, so the report has no curve in the number of"
            " parameters to fit"
        )
    return f"{len(fields)} fields with defaults; the model's size is set by {', '.join(sizes)}"


def _input_shape(tried: Tried) -> str:
    shape = tuple(tried.task.input_shape(tried.config))
    numbers = tried.task.d_ambient(tried.config)
    try:
        check_dimensions(shape, numbers)
    except ValueError as e:
        raise Wrong(str(e)) from None

    tried.input_shape = shape
    return f"one input has the shape {shape} and holds {numbers:,} numbers"


def _meta_device(tried: Tried) -> str:
    assert tried.config is not None
    try:
        with users_code("the model", "on the meta device"):
            tried.shape = shape_of(tried.ref, tried.config)
    except UsersCodeRaised as e:
        raised = str(e).rstrip(".")
        raise Doubtful(
            f"{raised}. Its cost is not counted and its trials run alone: build everything in"
            " model(), and read no data there"
        ) from e

    assert tried.model is not None
    p = sum(parameter.numel() for parameter in tried.model.parameters() if parameter.requires_grad)
    if tried.shape.p != p:
        raise Wrong(
            f"model() gave {p:,} parameters, and {tried.shape.p:,} on the meta device; it must"
            " build the same model there"
        )
    flops = tried.shape.flops_per_sample
    return f"counted without memory: {tried.shape.p:,} parameters, {flops:,} FLOPs a sample"


CONFIGURATION = Check("configuration", (), "in its Config", _configuration)
INPUT_SHAPE = Check("input shape", ("config",), "in input_shape()", _input_shape)
META_DEVICE = Check("meta device", ("config", "model", "output"), "in model()", _meta_device)
