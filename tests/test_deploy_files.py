"""Dockerfiles, the compose file and the manifests: valid by their schemas, with commands that this package understands."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from flows.cli import app
from flows.settings.loop_config import load_config

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
MANIFESTS = [
    (path.name, document)
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    if path.name not in ("kustomization.yaml", "rl-loop.yaml")
    for document in yaml.safe_load_all(path.read_text())
]
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
WORKLOADS = {document["metadata"]["name"]: document for _, document in MANIFESTS if document["kind"] == "Deployment"}


@pytest.mark.parametrize(
    ("file", "document"), MANIFESTS, ids=[f"{f}-{d['kind']}-{d['metadata']['name']}" for f, d in MANIFESTS]
)
def test_a_manifest_is_valid(file: str, document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_every_file_is_in_the_kustomization() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())

    assert set(kustomization["resources"]) == {file for file, _ in MANIFESTS}
    load_config(DEPLOY / "kubernetes/rl-loop.yaml")


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_is_bounded_watched_and_unprivileged(name: str) -> None:
    pod = WORKLOADS[name]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert pod["securityContext"]["runAsNonRoot"] and not container["securityContext"]["allowPrivilegeEscalation"]
    assert name == "loop" or {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    for variable in container.get("env", []):
        assert "value" not in variable or not re.search("KEY|TOKEN|SECRET|PASSWORD", variable["name"])


def test_browsers_reach_no_private_address_and_only_the_loop_comes_in() -> None:
    policies = {
        document["metadata"]["name"]: document["spec"]
        for _, document in MANIFESTS
        if document["kind"] == "NetworkPolicy"
    }
    web = policies["browsers-to-the-web"]["egress"][1]["to"][0]["ipBlock"]

    assert policies["nothing-comes-in"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(web["except"])
    assert policies["model-stays-inside"]["egress"] == []
    shared = {name: set(COMPOSE["services"][name]["networks"]) for name in COMPOSE["services"]}
    assert not shared["browsers"] & (shared["prefect"] | shared["mlflow"] | shared["model"])


def commands() -> list[list[str]]:
    found = [workload["spec"]["template"]["spec"]["containers"][0]["command"] for workload in WORKLOADS.values()]
    found += [service["command"] for service in COMPOSE["services"].values() if "command" in service]
    for path in DEPLOY.glob("*.Dockerfile"):
        found += [yaml.safe_load(line) for line in re.findall(r"^CMD (.*)$", path.read_text(), re.M)]
    return [command for command in found if command[0] == "rl-loop"]


def test_commands_and_their_settings_are_known() -> None:
    root: Any = get_command(app)
    up = root.commands["up"]

    assert len(commands()) == 5
    for command in commands():
        assert command[1] == "up"
        context = up.make_context("up", list(command[2:]))
        load_config(ROOT / "configs/minimal.yaml", context.params["overrides"] or [])
        assert context.params["stay"], "a container ends with its command"


def test_images_are_those_of_the_dockerfiles_which_copy_what_exists() -> None:
    built = {f"rl-loop-{path.name.removesuffix('.Dockerfile')}" for path in DEPLOY.glob("*.Dockerfile")}
    used = {workload["spec"]["template"]["spec"]["containers"][0]["image"] for workload in WORKLOADS.values()}
    used |= {service["image"] for service in COMPOSE["services"].values()}

    assert built == used == {"rl-loop-control", "rl-loop-browsers", "rl-loop-model"}
    for path in DEPLOY.glob("*.Dockerfile"):
        for line in re.findall(r"^COPY (.*)$", path.read_text(), re.M):
            assert all((ROOT / source).exists() for source in line.split()[:-1]), line
