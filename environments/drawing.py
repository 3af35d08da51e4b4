"""Draws the tasks of an iteration, from catalogue, sampler, history, blocked hosts and horizon."""

from datetime import datetime

from agent.types import Task
from environments.bounds import is_listed
from environments.catalogs import Draw
from environments.config import EnvironmentConfig
from environments.curriculum import ByProgress, Target
from environments.history import TaskHistory
from environments.horizons import with_horizon
from environments.hosts import breaker_from
from environments.registry import make_catalog
from environments.samplers import Pools, Uniform, choose


def draw_tasks(
    config: EnvironmentConfig, wanted: Draw, count: int, *, history: TaskHistory, now: datetime
) -> list[Task]:
    """Draws `count` different tasks. Equal arguments give equal tasks.

    `now` decides which circuit breakers have expired, so a resume replays the drawn tasks instead of drawing again.
    Raises:
        ValueError: if there are too few tasks, a family does not exist (`UnknownTask`), or a file of tasks cannot be
            used (`TaskFileError`).
    """
    catalog = make_catalog(config, wanted.split)
    sampler = config.sampler if wanted.split == "train" else Uniform()
    half_life = sampler.half_life if isinstance(sampler, Pools | Target) else None
    success = history.success_rates(iteration=wanted.iteration, half_life=half_life, by_family=catalog.by_family)
    breaker = breaker_from(history.outcomes, config.blocking)

    def is_shut(host: str) -> bool:
        left_alone = wanted.split == "train" and breaker.is_open(host, now=now)
        return left_alone or is_listed(host, config.blocked_hosts)

    candidates = catalog.candidates(wanted, history, is_shut)
    progress = None
    if isinstance(sampler, ByProgress):
        progress = history.progress(
            iteration=wanted.iteration, recent=sampler.recent, earlier=sampler.earlier, by_family=catalog.by_family
        )
    chosen = choose(candidates, count, sampler, success, progress)
    return [with_horizon(task, config.horizon, iteration=wanted.iteration) for task in catalog.tasks(chosen, wanted)]


def draw_canaries(config: EnvironmentConfig, wanted: Draw, count: int) -> list[Task]:
    """Draws `count` canaries, tasks that nobody can do, or all that there are. Equal arguments give equal tasks.

    Raises ValueError if there is none, and `TaskFileError` if a file of tasks cannot be used.
    """
    tasks = make_catalog(config, wanted.split).canaries(wanted, count)
    return [with_horizon(task, config.horizon, iteration=wanted.iteration) for task in tasks]
