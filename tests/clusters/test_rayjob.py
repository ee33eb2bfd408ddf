"""clusters/kuberay-rayjob.yaml: the fields that KubeRay 1.7.0 wants, spelled as its CRD spells
them; private; agreeing with the image.

Run alone: python -m pytest tests/clusters/test_rayjob.py
"""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from harness.cli import app
from tests import ROOT

TEXT = (ROOT / "clusters" / "kuberay-rayjob.yaml").read_text()
JOB, POLICY = yaml.safe_load_all(TEXT)
SPEC = JOB["spec"]
CLUSTER = SPEC["rayClusterSpec"]
HEAD = CLUSTER["headGroupSpec"]
WORKERS = {group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]}
TEMPLATES = [
    SPEC["submitterPodTemplate"],
    HEAD["template"],
    *(group["template"] for group in WORKERS.values()),
]

# From the CRD of KubeRay 1.7.0, which has further fields. An API server drops or refuses a field
# that it does not know.
JOB_FIELDS = {
    "entrypoint",
    "submissionMode",
    "backoffLimit",
    "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished",
    "submitterPodTemplate",
    "rayClusterSpec",
}
CLUSTER_FIELDS = {
    "rayVersion",
    "enableInTreeAutoscaling",
    "autoscalerOptions",
    "authOptions",
    "headGroupSpec",
    "workerGroupSpecs",
}
GROUP_FIELDS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


def test_kinds_and_fields():
    assert "KubeRay 1.7.0" in TEXT
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    assert (POLICY["apiVersion"], POLICY["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
    assert set(SPEC) == JOB_FIELDS
    assert set(CLUSTER) == CLUSTER_FIELDS
    assert set(HEAD) == {"serviceType", "rayStartParams", "template"}
    assert set(WORKERS) == {"cpu", "gpu"}
    assert all(set(group) == GROUP_FIELDS for group in WORKERS.values())
    assert SPEC["submissionMode"] == "K8sJobMode"


def test_it_cleans_up_and_tries_again():
    assert SPEC["shutdownAfterJobFinishes"] is True, "a ttl needs the shutdown"
    assert SPEC["ttlSecondsAfterFinished"] > 0
    assert SPEC["backoffLimit"] >= 1
    assert CLUSTER["enableInTreeAutoscaling"] is True
    assert CLUSTER["autoscalerOptions"]["version"] == "v2"
    for group in WORKERS.values():
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_rays_version_is_the_images():
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned is not None and CLUSTER["rayVersion"] == pinned[1], (
        "KubeRay's probes and token mode go by it"
    )


def test_start_parameters_are_texts_that_ray_start_knows():
    from click import Option
    from ray.scripts.scripts import start

    known = {
        option.removeprefix("--")
        for p in start.params
        if isinstance(p, Option)
        for option in p.opts
    }
    assert HEAD["rayStartParams"]["num-cpus"] == "0"
    for group in (HEAD, *WORKERS.values()):
        assert set(group["rayStartParams"]) <= known
        assert all(isinstance(value, str) for value in group["rayStartParams"].values()), (
            "the CRD takes strings only"
        )


def test_every_container_says_what_it_takes_and_uses_one_image():
    containers = [c for template in TEMPLATES for c in template["spec"]["containers"]]
    assert len({c["image"] for c in containers}) == 1
    for container in containers:
        requests = set(container["resources"]["requests"])
        limits = set(container["resources"]["limits"])
        assert requests == limits >= {"cpu", "memory"}


@pytest.mark.parametrize(("group", "gpus"), [("cpu", 0), ("gpu", 1)])
def test_workers_take_gpus_in_their_own_group_alone(group: str, gpus: int):
    (container,) = WORKERS[group]["template"]["spec"]["containers"]
    assert container["resources"]["limits"].get("nvidia.com/gpu", 0) == gpus


def test_workers_are_spot_and_the_head_is_not():
    for group in WORKERS.values():
        spec = group["template"]["spec"]
        assert any("spot" in f"{key}={value}" for key, value in spec["nodeSelector"].items())
        assert any("spot" in toleration["key"] for toleration in spec["tolerations"])
    assert not {"nodeSelector", "tolerations"} & set(HEAD["template"]["spec"])

    tolerations = WORKERS["gpu"]["template"]["spec"]["tolerations"]
    assert any(toleration["key"] == "nvidia.com/gpu" for toleration in tolerations)


OPEN_DOORS = [
    "LoadBalancer",
    "NodePort",
    "0.0.0.0",
    "hostNetwork",
    "hostPort",
    "hostPath",
    "privileged",
    "dashboard-host",
]


def test_it_is_private():
    assert CLUSTER["authOptions"] == {"mode": "token"}
    assert HEAD["serviceType"] == "ClusterIP"
    assert "enableIngress" not in HEAD
    assert [door for door in OPEN_DOORS if door in TEXT] == []


def test_only_its_own_pods_and_the_operator_reach_its_pods():
    ours = {"app": "unilaw"}
    assert all(template["metadata"]["labels"] == ours for template in TEMPLATES)
    assert POLICY["spec"]["podSelector"] == {"matchLabels": ours}
    assert POLICY["spec"]["policyTypes"] == ["Ingress"]

    within, operator = POLICY["spec"]["ingress"]
    assert within == {"from": [{"podSelector": {"matchLabels": ours}}]}
    assert [port["port"] for port in operator["ports"]] == [8265]
    assert "podSelector" in operator["from"][0]


def test_ports_are_those_of_the_head():
    ports = {
        p["name"]: p["containerPort"] for p in HEAD["template"]["spec"]["containers"][0]["ports"]
    }
    assert ports == {"gcs-server": 6379, "dashboard": 8265}, "KubeRay finds them by name"


def test_the_entrypoint_is_a_unilaw_command_on_a_file_that_is_mounted():
    command, *arguments = shlex.split(SPEC["entrypoint"])
    assert command == "unilaw"
    unquoted = shlex.join([command, *arguments])
    assert unquoted == SPEC["entrypoint"], "it passes through a shell unquoted"

    group = get_command(app)
    assert isinstance(group, TyperGroup)
    parsed = group.commands[arguments[0]].make_context(arguments[0], arguments[1:]).params
    assert parsed["address"] == "auto"
    assert str(parsed["store"]).startswith("s3:/")

    (mount,) = HEAD["template"]["spec"]["containers"][0]["volumeMounts"]
    assert mount["mountPath"].startswith("/home/unilaw/")
    assert Path(parsed["sweep"]) == Path(mount["mountPath"]) / "sweep.yaml"
    (volume,) = HEAD["template"]["spec"]["volumes"]
    create = f"kubectl create configmap {volume['configMap']['name']} --from-file=sweep.yaml"
    assert create in TEXT
    assert create in (ROOT / "clusters" / "README.md").read_text()


@pytest.mark.parametrize(
    "needed",
    ["/etc/profile.d/unilaw.sh", "wget", "HOME=/home/unilaw", "python3", "ca-certificates"],
)
def test_the_image_has_what_kuberay_uses(needed):
    """Login shells, probes, the wait for the head; and certificates for buckets."""
    assert needed in (ROOT / "Dockerfile").read_text()
