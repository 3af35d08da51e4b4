"""Makes the job templates of `deploy/work_pools/` from Prefect's own and this project's images: python -m scripts.work_pools"""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import prefect

FOLDER = Path(__file__).parents[1] / "deploy" / "work_pools"
WORKERS = Path(prefect.__file__).parent / "server/api/collections_data/views/aggregate-worker-metadata.json"
IMAGE = "rl-loop-control"
RUNS = "/runs"
ENVIRONMENT = {"DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
Template = dict[str, Any]


def templates() -> dict[str, Template]:
    """The templates by type of the pool."""
    known = json.loads(WORKERS.read_text())
    docker = known["prefect-docker"]["docker"]["default_base_job_configuration"]
    kubernetes = known["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]
    return {"docker": docker_template(docker), "kubernetes": kubernetes_template(kubernetes)}


def docker_template(prefects: Template) -> Template:
    """A container with the folder of runs, without privileges, removed at its end; it shares the machine's loopback."""
    template = deepcopy(prefects)
    set_defaults(
        template,
        image=IMAGE,
        image_pull_policy="Never",
        env=ENVIRONMENT,
        volumes=[f"{RUNS}:{RUNS}"],
        network_mode="host",
        auto_remove=True,
        mem_limit="16g",
    )
    return template


def kubernetes_template(prefects: Template) -> Template:
    """A job that may not become root nor reach the cluster's API, with the claim `runs` and an accelerator on demand."""
    template = deepcopy(prefects)
    set_defaults(
        template,
        image=IMAGE,
        namespace="rl-loop",
        env=ENVIRONMENT,
        finished_job_ttl=600,
        pod_watch_timeout_seconds=600,
        cpu_request="2",
        cpu_limit="8",
        memory_request="8Gi",
        memory_limit="32Gi",
    )
    template["variables"]["properties"]["gpus"] = {
        "title": "GPUs",
        "description": "Accelerators of the job's container, for the deployment `update`.",
        "type": "integer",
        "default": 0,
        "minimum": 0,
    }
    pod = template["job_configuration"]["job_manifest"]["spec"]["template"]
    pod["metadata"] = {"labels": {"app": "loop"}}  # the network policies are those of the loop
    spec = pod["spec"]
    del spec["serviceAccountName"], template["variables"]["properties"]["service_account_name"]
    # Fields of a job, which Prefect's template has in the pod's specification, where they mean nothing.
    for name in ("parallelism", "completions"):
        template["job_configuration"]["job_manifest"]["spec"][name] = spec.pop(name)
    spec |= {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 40,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": "runs", "persistentVolumeClaim": {"claimName": "runs"}}],
    }
    container = spec["containers"][0]
    container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container["volumeMounts"] = [{"name": "runs", "mountPath": RUNS}]
    container["envFrom"] = [{"secretRef": {"name": "rl-loop-environment", "optional": True}}]
    container["resources"]["limits"]["nvidia.com/gpu"] = "{{ gpus }}"
    return template


def set_defaults(template: Template, **defaults: object) -> None:
    """Sets default values of a template's variables. Raises KeyError for an unknown one."""
    for name, value in defaults.items():
        template["variables"]["properties"][name]["default"] = value


def main() -> None:
    """Writes the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind, template in templates().items():
        path = FOLDER / f"{kind}.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(template, indent=2) + "\n")
        new.replace(path)


if __name__ == "__main__":
    main()
