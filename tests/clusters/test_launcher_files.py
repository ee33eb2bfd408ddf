"""clusters/aws.yaml and gcp.yaml: accepted by Ray's own reader and schema, private, and agreeing
with the Dockerfile.

Run alone: python -m pytest tests/clusters/test_launcher_files.py
"""

import json
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests import ROOT

FILES = {name: ROOT / "clusters" / f"{name}.yaml" for name in ("aws", "gcp")}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
START_COMMANDS = ("head_start_ray_commands", "worker_start_ray_commands")


def config(name: str) -> dict:
    return yaml.safe_load(FILES[name].read_text())


@pytest.fixture(params=sorted(FILES))
def name(request) -> str:
    return request.param


def test_the_schema_in_rays_wheel_accepts_them(name):
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(config(name), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config(name), "idle_timeout": 5}, schema)


def test_ray_reads_them_and_adds_no_command_of_its_own(name):
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(config(name))
    validate_config(prepared)
    setup = prepared["head_setup_commands"] + prepared["worker_setup_commands"]
    assert setup == [], "Ray's defaults would install another Ray"
    for key in ("initialization_commands", *START_COMMANDS, "docker"):
        assert prepared[key] == config(name)[key]
    assert prepared["available_node_types"]["head"]["max_workers"] == 0


def test_the_head_is_on_demand_and_runs_no_trial_and_workers_are_spot(name):
    market = {"aws": "InstanceMarketOptions", "gcp": "scheduling"}[name]
    spot = {"aws": {"MarketType": "spot"}, "gcp": {"provisioningModel": "SPOT"}}[name]

    types = config(name)["available_node_types"]
    head = types.pop(config(name)["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert market not in head["node_config"]

    assert len(types) == 2
    for workers in types.values():
        assert spot.items() <= workers["node_config"][market].items()
    most = max(workers["max_workers"] for workers in types.values())
    assert 1 <= most <= config(name)["max_workers"]


def test_the_start_commands_are_rays(name):
    from click import Option
    from ray.scripts.scripts import start

    known = {option for p in start.params if isinstance(p, Option) for option in p.opts}
    for key in START_COMMANDS:
        stop, command = config(name)[key]
        words = shlex.split(command)
        assert stop == "ray stop"
        assert words[:2] == ["ray", "start"]
        assert {w.partition("=")[0] for w in words[2:]} <= known, command
    assert "--head" in config(name)["head_start_ray_commands"][1]
    assert "$RAY_HEAD_IP" in config(name)["worker_start_ray_commands"][1]


def test_they_are_private(name):
    text = FILES[name].read_text()
    read = config(name)
    assert "0.0.0.0" not in text
    assert "::/0" not in text
    assert "--dashboard-host=127.0.0.1" in read["head_start_ray_commands"][1]
    assert "--env=RAY_AUTH_MODE=token" in read["docker"]["run_options"]
    assert read["file_mounts"] == {"/home/unilaw/.ray/auth_token": "~/.ray/auth_token"}
    for kind in read["available_node_types"].values():
        node = kind["node_config"]
        if name == "aws":
            assert node["SecurityGroupIds"], (
                "without one Ray makes a group that is open to everybody on port 22"
            )
            assert node["MetadataOptions"] == {"HttpTokens": "required"}
            assert node["IamInstanceProfile"]["Name"].startswith("unilaw-")
        else:
            assert node["tags"] == {"items": ["unilaw"]}
            subnetwork = node["networkInterfaces"][0]["subnetwork"]
            assert subnetwork.endswith("/subnetworks/unilaw")


def test_ray_makes_no_security_group_where_one_is_given():
    """Checks a comment in aws.yaml against Ray's code: with a group in every type, Ray creates
    nothing."""
    from ray.autoscaler._private.aws import config as aws

    ours = config("aws")
    assert aws._configure_security_group(ours) is ours  # would ask AWS otherwise

    rules = aws._create_default_inbound_rules({"sg-1"}, [])
    is_open = any(rule.get("IpRanges") == [{"CidrIp": "0.0.0.0/0"}] for rule in rules)
    assert is_open, "Ray's own group is closed now: the comment can go"


def test_they_agree_with_the_dockerfile(name):
    from ray.autoscaler.sdk.sdk import get_docker_host_mount_location

    read = config(name)
    assert "HOME=/home/unilaw" in DOCKERFILE
    assert all(path.startswith("/home/unilaw/") for path in read["file_mounts"])
    assert 'ENTRYPOINT ["unilaw"]' in DOCKERFILE
    assert "--entrypoint=" in read["docker"]["run_options"], "the launcher runs `IMAGE bash`"
    assert re.search(r"install .*\brsync\b.*\bopenssh-client\b", DOCKERFILE), (
        "the launcher's tools inside the container"
    )
    assert "/etc/profile.d/unilaw.sh" in DOCKERFILE, "the launcher's login shells forget PATH"
    assert {"aws": "boto3", "gcp": "google-api-python-client"}[name] in DOCKERFILE, (
        "what the head's autoscaler imports"
    )
    (mounted,) = read["file_mounts"]
    host = get_docker_host_mount_location(read["cluster_name"]) + mounted
    assert read["initialization_commands"] == [f"chmod 644 {host}"], (
        "the container's user must read the token"
    )


def test_what_rays_docker_command_makes_of_the_options(name):
    from ray.autoscaler._private.docker import docker_start_cmds

    docker = config(name)["docker"]
    mounts = config(name)["file_mounts"]
    home = re.search(r"HOME=(\S+)", DOCKERFILE)
    assert home is not None
    line = docker_start_cmds(
        "ubuntu",
        docker["image"],
        mounts,
        docker["container_name"],
        docker["run_options"],
        "unilaw",
        home[1],
        "docker",
    )
    words = shlex.split(line)
    token = "/home/unilaw/.ray/auth_token"
    assert words[-2:] == [docker["image"], "bash"]
    assert "--entrypoint=" in words
    assert "--net=host" in words
    assert f"/tmp/ray_tmp_mount/unilaw/{token}:{token}" in words
