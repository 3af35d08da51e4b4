"""Which work pool plays the ranks of rollouts: `rl-loop` on this machine, or `services.rank_pool`.

Containers and clusters are Prefect's own pools of the types `docker` and `kubernetes`; `deploy/work_pools/` has their job
templates (docs/scale.md).
"""

from pathlib import Path

from flows.services.prefect_api import PrefectServer
from flows.services.specs import WORK_POOL
from storage.errors import ServicesError

RANK = "play-shard/rank"


def place_ranks(server: PrefectServer, pool: str | None, *, here: Path, runs_dir: Path) -> None:
    """Have workers of a pool play the ranks. Idempotent. Raises `ServicesError` for a pool that the server does not have.

    `here` is where flows of the own pool run. Workers elsewhere share only the folder of runs, and begin there.
    """
    if pool in (None, WORK_POOL):
        server.place(server.deployment_id(RANK), WORK_POOL, str(here))
        return
    known = server.work_pools()
    if pool not in known:
        raise ServicesError(
            f"services.rank_pool names the work pool {pool}, which the Prefect server does not have (it has "
            f"{', '.join(sorted(known)) or 'none'}); make it with `prefect work-pool create {pool} --type kubernetes "
            "--base-job-template deploy/work_pools/kubernetes.json`"
        )
    server.place(server.deployment_id(RANK), pool, str(runs_dir.resolve()))
