"""clusters/README.md names every file, its commands exist, and nothing in the folder is
anybody's own."""

import re
import shlex
import tomllib
from fnmatch import fnmatch

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from harness.cli import app
from tests import ROOT

FOLDER = ROOT / "clusters"
README = (FOLDER / "README.md").read_text()
SHIPPED = [path for path in sorted(FOLDER.iterdir()) if path.suffix in (".yaml", ".sbatch", ".md")]


def commands(program: str) -> list[str]:
    """Every call of a program in the files' text: those in the README's blocks and in backticks,
    and in the files' comments."""
    found = re.findall(rf"^ +({program} [^#\n]*)", README, re.M) + re.findall(
        rf"`({program} [^`\n]*)`", README
    )
    for path in SHIPPED:
        if path.suffix != ".md":
            found += re.findall(rf"^# +({program} .*?)(?:    |$)", path.read_text(), re.M)
    return [command.strip() for command in found]


def test_every_file_is_linked_and_every_link_leads_somewhere():
    linked = set(re.findall(r"\]\(([^)#:]+)\)", README))
    assert {path.name for path in SHIPPED} - {"README.md"} <= linked
    assert all((FOLDER / link).exists() for link in linked)


def test_every_file_has_its_four_answers():
    for section in ("Slurm", "Kubernetes", "AWS", "GCP"):
        text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        words = (
            ("start", "watch", "stop") if section == "GCP" else ("start", "watch", "cost", "stop")
        )
        assert all(f"*{word}*" in text.lower() for word in words), section


def test_unilaw_commands_parse():
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    found = commands("unilaw")
    assert {shlex.split(c)[1] for c in found} >= {"run", "status", "plan", "launch", "cancel"}
    for command in found:
        _, name, *arguments = shlex.split(command)
        if arguments:
            group.commands[name].make_context(name, arguments)


def test_ray_commands_parse():
    from click import Group, Option
    from ray.scripts.scripts import cli

    assert isinstance(cli, Group)
    found = commands("ray")
    assert {shlex.split(c)[1] for c in found} >= {
        "up",
        "down",
        "dashboard",
        "attach",
        "start",
        "get-auth-token",
    }
    for command in found:
        _, name, *arguments = shlex.split(command)
        known = {
            option for p in cli.commands[name].params if isinstance(p, Option) for option in p.opts
        }
        assert {a.partition("=")[0] for a in arguments if a.startswith("-")} <= known, command


def test_options_named_alone_exist():
    from ray.scripts.scripts import start

    group = get_command(app)
    assert isinstance(group, TyperGroup)
    known = {
        option
        for command in (*group.commands.values(), start)
        for p in command.params
        for option in p.opts
    }
    named = set(re.findall(r"`(--[\w-]+)", README))
    assert named and named <= known


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_nothing_in_it_is_anybodys_own(path):
    text = path.read_text()
    owned = {
        "an account": r"\b\d{12}\b|arn:aws",
        "a key": r"AKIA[0-9A-Z]{16}|-----BEGIN|\b[0-9a-f]{40,}\b|AIza[\w-]{30}",
        "an address": r"\b(?!127\.0\.0\.1\b|10\.0\.0\.0\b)\d{1,3}(\.\d{1,3}){3}\b",
        "an image of a machine or a group": r"\b(ami|sg|subnet|vpc)-[0-9a-f]{8,}\b",
        "a user's folder": r"/(root|Users|work)/|/home/(?!unilaw)\w+",
    }
    assert {
        what: re.findall(pattern, text)
        for what, pattern in owned.items()
        if re.search(pattern, text)
    } == {}
    hosts = set(re.findall(r"https?://([\w.-]+)", text)) | set(
        re.findall(r"image: (?:&\w+ )?([\w.-]+\.\w+)/", text)
    )
    assert hosts <= {
        "127.0.0.1",
        "registry.example.com",
        "docs.aws.amazon.com",
        "www.googleapis.com",
    }


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.suffix == ".yaml"], ids=lambda p: p.name)
def test_what_a_user_must_fill_in_is_marked(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        value = line.partition(" #")[0]
        if re.search(r"\bEDIT\b|registry\.example", value) and not value.lstrip().startswith("#"):
            above = path.read_text().splitlines()[number - 2]
            assert "# EDIT" in line or above.lstrip().startswith("# EDIT"), f"{path.name}:{number}"


def test_the_wheel_takes_the_folder_whole():
    """Hatch packages a folder with all its files but those that git ignores."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]["wheel"]
    assert "clusters" in wheel["packages"] and set(wheel) == {"packages"}, "nothing is excluded"
    ignored = (ROOT / ".gitignore").read_text().split()
    assert not [
        p.name
        for p in SHIPPED
        for pattern in ignored
        if fnmatch(p.name, pattern) or fnmatch(f"clusters/{p.name}", pattern)
    ]


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.suffix == ".yaml"], ids=lambda p: p.name)
def test_yaml_is_read_the_same_by_every_reader(path):
    """No key twice: PyYAML takes the last one silently, kubectl refuses."""

    def pairs(node):
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), keys
            for _, value in node.value:
                pairs(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                pairs(value)

    for document in yaml.compose_all(path.read_text()):
        pairs(document)
