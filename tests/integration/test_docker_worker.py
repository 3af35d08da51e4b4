"""Ranks of a rollout in containers: Prefect's own Docker worker, a real engine, and the job template that is shipped.

No image can be had here, so the container's root has no files of its own: this machine's programs, its Python environment
and the checkout are mounted, read-only. The template is changed as a person does it in Prefect's pages: image and volumes.
"""

import io
import json
import os
import sys
import tarfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker_engine import needs_engine, running_engine
from real_stack import Stack, wait_until
from run_invariants import check_finished

from environments.providers.docker.engine import connect
from flows.services.prefect_api import PrefectServer
from flows.services.specs import PREFECT
from flows.settings.checkout import PROJECT
from scripts.work_pools import templates

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(1_800), needs_engine]
IMAGE, POOL = "rl-loop-test:rank", "boxes"
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of an engine with the image of a rank."""
    with running_engine(tmp_path_factory.mktemp("engine")) as address:
        client = connect(address)
        repository, _, tag = IMAGE.partition(":")
        client.api.import_image_from_data(empty_root(), repository=repository, tag=tag)
        client.close()
        yield address


def test_ranks_are_played_in_containers(stack: Stack, engine: str, unused: Callable[[str], str]) -> None:
    template = stack.home / "docker.json"
    template.write_text(json.dumps(job_template(stack)))
    made = stack.prefect(
        "work-pool", "create", POOL, "--type", "docker", "--overwrite", "--base-job-template", template
    )
    assert made.status == 0, made.out
    name = unused("boxes")
    ranks = ("rollout.ranks=workers", "rollout.shards=2", f"services.rank_pool={POOL}")
    with stack.prefect_started("worker", "start", "--pool", POOL, "--type", "docker", DOCKER_HOST=engine):
        with stack.started("run", stack.config, "--name", name, "iterations=1", *ranks) as command:
            wait_until("two containers", lambda: len(containers(engine)) >= 2, during=command)
            done = command.wait()
        assert done.status == 0, done.out
        wait_until("the removal of the containers", lambda: not containers(engine))
    check_finished(stack, name)
    with PrefectServer(stack.status().service(PREFECT).address) as server:
        assert server.count_runs("rank") >= 2


def empty_root() -> bytes:
    """A root file system into which /usr and /etc are mounted."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, target in LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    return made.getvalue()


def job_template(stack: Stack) -> dict[str, Any]:
    """The shipped template with the test's image, and with the folders that the image has not."""
    template = templates()["docker"]
    folders = {Path("/usr"), Path("/etc"), PROJECT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    programs = [one for one in folders if not any(other in one.parents for other in folders)]
    properties = template["variables"]["properties"]
    properties["image"]["default"] = IMAGE
    properties["volumes"]["default"] = [
        *(f"{path}:{path}:ro" for path in sorted(programs)),
        f"{stack.home}:{stack.home}",
    ]
    properties["env"]["default"] |= {
        "PATH": f"{Path(sys.prefix) / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(PROJECT)),
    }
    return template


def containers(address: str) -> list[str]:
    """Ids of the containers that run."""
    client = docker.DockerClient(base_url=address)
    found = [str(container["Id"]) for container in client.api.containers()]
    client.close()
    return found
