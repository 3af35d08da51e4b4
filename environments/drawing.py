"""Draws the tasks of an iteration, from catalogue, sampler, history, blocked hosts and horizon."""

from collections.abc import Sequence
from datetime import datetime

from agent.types import Split, Task
from environments.base import UnknownTask
from environments.bounds import is_listed
from environments.catalogs import Draw
from environments.config import EnvironmentConfig
from environments.curriculum import ByProgress, Target
from environments.history import TaskHistory
from environments.horizons import with_horizon
from environments.hosts import breaker_from
from environments.mixing.shares import counts_of, in_turn
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
    if config.name == "mix":
        parts = config.members
        counts = counts_of([part.share for part in parts], count, key=wanted.key)
        drawn = [
            draw_tasks(part, wanted, number, history=history, now=now)
            for part, number in zip(parts, counts, strict=True)
            if number
        ]
        return different(in_turn(drawn))
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
    if config.name == "mix":
        counts = counts_of([part.share for part in config.members], count, key=f"{wanted.key}/canaries")
        drawn = [
            draw_canaries(part, wanted, number) for part, number in zip(config.members, counts, strict=True) if number
        ]
        return in_turn(drawn)
    tasks = make_catalog(config, wanted.split).canaries(wanted, count)
    return [with_horizon(task, config.horizon, iteration=wanted.iteration) for task in tasks]


def find_task(config: EnvironmentConfig, split: Split, task_id: str, *, iteration: int) -> Task:
    """The task with this id, with its step budget in an iteration. Raises `UnknownTask` if no environment has it."""
    missing: UnknownTask | None = None
    for part in config.members:
        try:
            task = make_catalog(part, split).find(task_id)
        except UnknownTask as error:
            missing = missing or error
        else:
            return with_horizon(task, part.horizon, iteration=iteration)
    assert missing is not None, "an environment has itself as a member"
    raise missing


def different(tasks: Sequence[Task]) -> list[Task]:
    """The tasks, if their ids differ. Raises ValueError for two environments of a mix that have a task of the same id."""
    seen: dict[str, str] = {}
    for task in tasks:
        if (other := seen.setdefault(task.id, task.environment)) != task.environment:
            raise ValueError(f"{other} and {task.environment} both have a task {task.id}; leave one out of the mix")
    return list(tasks)
