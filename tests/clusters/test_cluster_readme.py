"""clusters/README.md names every file, its commands exist, and nothing in the folder is private to
anybody.

Run alone: python -m pytest tests/clusters/test_cluster_readme.py
"""

import re
import shlex

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from harness.cli import app
from tests import ROOT

FOLDER = ROOT / "clusters"
README = (FOLDER / "README.md").read_text()
SHIPPED = [path for path in sorted(FOLDER.iterdir()) if path.is_file() and path.suffix != ".py"]


def commands(program: str) -> list[str]:
    """Return every call of a program that the folder's files mention."""
    in_blocks = re.findall(rf"^ +({program} [^#\n]*)", README, re.M)
    in_backticks = re.findall(rf"`({program} [^`\n]*)`", README)
    in_comments = []
    for path in SHIPPED:
        if path.suffix != ".md":
            in_comments += re.findall(rf"^# +({program} .*?)(?:    |$)", path.read_text(), re.M)
    return [command.strip() for command in in_blocks + in_backticks + in_comments]


def test_every_file_is_linked_and_every_link_leads_somewhere():
    linked = set(re.findall(r"\]\(([^)#:]+)\)", README))
    assert {path.name for path in SHIPPED} - {"README.md"} <= linked
    assert all((FOLDER / link).exists() for link in linked)


@pytest.mark.parametrize("section", ["Slurm", "Kubernetes", "AWS", "GCP"])
def test_every_section_has_its_answers(section: str):
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0].lower()
    assert [a for a in ("start", "watch", "cost", "stop") if f"*{a}*" not in text] == []


def test_unilaw_commands_parse():
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    calls = commands("unilaw")
    names = {shlex.split(call)[1] for call in calls}
    assert names >= {"run", "status", "plan", "launch", "cancel"}
    for command in calls:
        _, name, *arguments = shlex.split(command)
        if arguments:
            group.commands[name].make_context(name, arguments)


def test_ray_commands_parse():
    from click import Group, Option
    from ray.scripts.scripts import cli

    assert isinstance(cli, Group)
    calls = commands("ray")
    names = {shlex.split(call)[1] for call in calls}
    assert names >= {"up", "down", "dashboard", "attach", "start", "get-auth-token"}
    for command in calls:
        _, name, *arguments = shlex.split(command)
        options = [p for p in cli.commands[name].params if isinstance(p, Option)]
        known = {spelling for option in options for spelling in option.opts}
        used = {a.partition("=")[0] for a in arguments if a.startswith("-")}
        assert used <= known, command


def test_options_named_alone_exist():
    from ray.scripts.scripts import start

    group = get_command(app)
    assert isinstance(group, TyperGroup)
    known = set()
    for command in (*group.commands.values(), start):
        for parameter in command.params:
            known |= set(parameter.opts)
    named = set(re.findall(r"`(--[\w-]+)", README))
    assert named and named <= known


PRIVATE = {
    "an account": r"\b\d{12}\b|arn:aws",
    "a key": r"AKIA[0-9A-Z]{16}|-----BEGIN|\b[0-9a-f]{40,}\b|AIza[\w-]{30}",
    "an address": r"\b(?!127\.0\.0\.1\b|10\.0\.0\.0\b)\d{1,3}(\.\d{1,3}){3}\b",
    "an image of a machine or a group": r"\b(ami|sg|subnet|vpc)-[0-9a-f]{8,}\b",
    "a user's folder": r"/(root|Users|work)/|/home/(?!unilaw)\w+",
}
PUBLIC_HOSTS = {"127.0.0.1", "registry.example.com", "docs.aws.amazon.com", "www.googleapis.com"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_nothing_in_it_is_private_to_anybody(path):
    text = path.read_text()
    assert [what for what, pattern in PRIVATE.items() if re.search(pattern, text)] == []

    linked = re.findall(r"https?://([\w.-]+)", text)
    registries = re.findall(r"image: (?:&\w+ )?([\w.-]+\.\w+)/", text)
    assert set(linked + registries) <= PUBLIC_HOSTS


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.suffix == ".yaml"], ids=lambda p: p.name)
def test_what_a_user_must_fill_in_is_marked(path):
    lines = path.read_text().splitlines()
    for k, line in enumerate(lines):
        value = line.partition(" #")[0]
        is_comment = value.lstrip().startswith("#")
        if is_comment or not re.search(r"\bEDIT\b|registry\.example", value):
            continue
        marked_above = lines[k - 1].lstrip().startswith("# EDIT")
        assert "# EDIT" in line or marked_above, f"{path.name}:{k + 1}"


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
