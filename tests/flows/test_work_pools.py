"""Work pools in a real Prefect server: where the ranks are played, and the job templates for containers and clusters."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.utilities.templating import apply_values, find_placeholders
from prefect.workers.base import BaseJobConfiguration

from flows.far_shard import server_url
from flows.services.prefect_api import PrefectServer
from flows.services.specs import WORK_POOL
from flows.services.work_pools import RANK, TRAIN, place, place_work
from flows.settings.services_config import ServicesConfig
from scripts.work_pools import FOLDER, templates
from storage.errors import ServicesError

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:unclosed:ResourceWarning"),
]
KINDS = ("docker", "kubernetes")


@flow(name="play-shard")
def shard_flow() -> None: ...


@flow(name="train")
def train_flow() -> None: ...


@pytest.fixture(scope="module")
def client(prefect_server: None) -> Generator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"), overwrite=True)
        for kind in KINDS:
            template = json.loads((FOLDER / f"{kind}.json").read_text())
            client.create_work_pool(WorkPoolCreate(name=f"in-{kind}", type=kind, base_job_template=template))
        client.create_deployment(client.create_flow(shard_flow), "rank", work_pool_name=WORK_POOL)
        client.create_deployment(client.create_flow(train_flow), "train", work_pool_name=WORK_POOL)
        yield client


def placed(client: SyncPrefectClient, deployment: str = RANK) -> tuple[str | None, Any]:
    found = client.read_deployment_by_name(deployment)
    return found.work_pool_name, found.pull_steps


def test_ranks_are_placed_in_a_pool_and_back(client: SyncPrefectClient, tmp_path: Path) -> None:
    def steps(folder: Path) -> list[dict[str, Any]]:
        return [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]

    here, runs = tmp_path / "checkout", tmp_path / "runs"
    with PrefectServer(server_url()) as server:
        for pool in ("in-docker", "in-kubernetes", "in-kubernetes"):
            place(server, RANK, pool, here=here, runs_dir=runs)
            assert placed(client) == (pool, steps(runs))
        with pytest.raises(ServicesError, match=r"the work pool gone, which .*it has in-docker, in-kubernetes"):
            place(server, RANK, "gone", here=here, runs_dir=runs)
        assert placed(client)[0] == "in-kubernetes"
        place(server, RANK, None, here=here, runs_dir=runs)
        assert placed(client) == (WORK_POOL, steps(here))


def test_ranks_and_updates_have_each_a_pool(client: SyncPrefectClient, tmp_path: Path) -> None:
    config = ServicesConfig(rank_pool="in-docker", update_pool="in-kubernetes")
    with PrefectServer(server_url()) as server:
        place_work(server, config, here=tmp_path, runs_dir=tmp_path)
        assert [placed(client, one)[0] for one in (RANK, TRAIN)] == ["in-docker", "in-kubernetes"]
        with pytest.raises(ServicesError, match=r"services\.update_pool names the work pool gone"):
            place_work(server, config.model_copy(update={"update_pool": "gone"}), here=tmp_path, runs_dir=tmp_path)
        place_work(server, ServicesConfig(), here=tmp_path, runs_dir=tmp_path)
        assert [placed(client, one)[0] for one in (RANK, TRAIN)] == [WORK_POOL, WORK_POOL]


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_that_of_today_and_knows_each_of_its_variables(kind: str) -> None:
    template = json.loads((FOLDER / f"{kind}.json").read_text())
    assert template == templates()[kind], "run: python -m scripts.work_pools"
    variables = template["variables"]["properties"]
    used = {placeholder.name for placeholder in find_placeholders(template["job_configuration"])}
    assert used == set(variables)
    defaults = {name: one["default"] for name, one in variables.items() if "default" in one}
    jsonschema.validate(defaults, template["variables"])


async def test_the_job_of_the_cluster_is_valid_and_unprivileged() -> None:
    template = json.loads((FOLDER / "kubernetes.json").read_text())
    given = {"name": "rank", "labels": {"a": "b"}, "env": [{"name": "A", "value": "b"}], "command": ["prefect"]}
    variables = BaseJobConfiguration._get_base_config_defaults(template["variables"]["properties"]) | given
    job = apply_values(template["job_configuration"], variables, remove_notset=True)["job_manifest"]
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and not container["securityContext"]["allowPrivilegeEscalation"]
    assert container["volumeMounts"][0]["mountPath"] == "/runs" and container["image"] == "rl-loop-control"
