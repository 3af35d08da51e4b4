"""Creates the environment and the catalogue of tasks of a configuration."""

from agent.types import Split
from environments.base import Environment
from environments.catalogs import Catalog, Families, file_tasks
from environments.config import EnvironmentConfig
from environments.live import VIEWPORT as LIVE_VIEWPORT
from environments.live import LiveWeb
from environments.miniwob import MiniWob
from environments.miniwob.environment import VIEWPORT as MINIWOB_VIEWPORT
from environments.samplers import Ratio
from environments.taskfiles.reading import Reading


def make_environment(config: EnvironmentConfig) -> Environment:
    """Creates the environment, not yet started: enter it with `async with`."""
    match config.name:
        case "miniwob":
            return MiniWob(viewport=config.viewport or MINIWOB_VIEWPORT, bounds=config.bounds)
        case "live":
            assert config.tasks is not None, "a live environment plays the tasks of files"
            return LiveWeb(
                viewport=config.viewport or LIVE_VIEWPORT,
                private_sites=config.tasks.private_sites,
                only_private_sites=config.tasks.only_private_sites,
                bounds=config.bounds,
            )


def make_catalog(config: EnvironmentConfig, split: Split) -> Catalog:
    """Creates the catalogue of a split's tasks. Raises `TaskFileError` when a file of tasks cannot be used."""
    if config.tasks is None:
        return Families(MiniWob(), config.domains if split == "train" else config.evaluation_domains)
    sampler = config.sampler
    group_by = sampler.by if isinstance(sampler, Ratio) and sampler.by != "difficulty" else ""
    reading = Reading(
        environment=config.name, split=split, start_url=config.tasks.start_url, max_steps=config.tasks.max_steps
    )
    source = config.tasks.train if split == "train" else config.tasks.heldout
    return file_tasks(source, reading, group_by=group_by if split == "train" else "")
