"""Which work pools play the ranks of rollouts and make the updates: `rl-loop` here, or `services.rank_pool`, `.update_pool`.

Containers and clusters are Prefect's own pools of the types `docker` and `kubernetes`; `deploy/work_pools/` has their job
templates (docs/scale.md).
"""

from pathlib import Path

from flows.services.prefect_api import PrefectServer
from flows.services.specs import WORK_POOL
from flows.settings.services_config import ServicesConfig
from storage.errors import ServicesError

RANK, TRAIN = "play-shard/rank", "train/train"
SETTINGS = {RANK: "rank_pool", TRAIN: "update_pool"}
"""The setting in section `services` that names the pool of a deployment."""


def place_work(server: PrefectServer, config: ServicesConfig, *, here: Path, runs_dir: Path) -> None:
    """Have the workers of the configured pools play the ranks and make the updates. Idempotent; raises as `place`."""
    for deployment, setting in SETTINGS.items():
        place(server, deployment, getattr(config, setting), here=here, runs_dir=runs_dir)


def place(server: PrefectServer, deployment: str, pool: str | None, *, here: Path, runs_dir: Path) -> None:
    """Have workers of a pool run a deployment. Raises `ServicesError` for a pool that the server does not have.

    `here` is where flows of the own pool run. Workers elsewhere share only the folder of runs, and begin there.
    """
    if pool in (None, WORK_POOL):
        server.place(server.deployment_id(deployment), WORK_POOL, str(here))
        return
    known = server.work_pools()
    if pool not in known:
        raise ServicesError(
            f"services.{SETTINGS[deployment]} names the work pool {pool}, which the Prefect server does not have (it has "
            f"{', '.join(sorted(known)) or 'none'}); make it with `prefect work-pool create {pool} --type process`, or "
            "`--type kubernetes --base-job-template deploy/work_pools/kubernetes.json`"
        )
    server.place(server.deployment_id(deployment), pool, str(runs_dir.resolve()))
