"""Creates the environment and the catalogue of tasks of a configuration."""

from agent.types import Split
from environments.base import Environment, SeededEnvironment
from environments.bundled import application_environment
from environments.catalogs import Catalog, Families, file_tasks
from environments.config import EnvironmentConfig
from environments.miniwob import MiniWob
from environments.miniwob.environment import VIEWPORT as MINIWOB_VIEWPORT
from environments.mixing.mixture import Mixture
from environments.providers.live.environment import VIEWPORT as LIVE_VIEWPORT
from environments.providers.live.environment import LiveWeb
from environments.samplers import Ratio
from environments.taskfiles.reading import Reading


def make_environment(config: EnvironmentConfig) -> Environment:
    """Creates the environment, not yet started: enter it with `async with`. Raises ValueError for a mix that is none."""
    match config.name:
        case "miniwob":
            return MiniWob(viewport=config.viewport or MINIWOB_VIEWPORT, host=config.listen, bounds=config.bounds)
        case "live":
            assert config.tasks is not None, "a live environment plays the tasks of files"
            return LiveWeb(
                viewport=config.viewport or LIVE_VIEWPORT,
                private_sites=config.tasks.private_sites,
                only_private_sites=config.tasks.only_private_sites,
                bounds=config.bounds,
                logins=config.tasks.logins,
                per_minute=config.tasks.starts_per_minute,
            )
        case "metabase":
            # Only machines with Docker environments have its package.
            from environments.applications.metabase.environment import VIEWPORT as METABASE_VIEWPORT
            from environments.applications.metabase.environment import Metabase

            assert config.metabase is not None, "metabase has its section"
            viewport = config.viewport or METABASE_VIEWPORT
            return Metabase(config.metabase, viewport=viewport, bounds=config.bounds)
        case "mix":
            return Mixture([make_environment(part) for part in config.members], viewport=config.viewport)
        case _:
            return _application(config)


def _application(config: EnvironmentConfig) -> SeededEnvironment:
    return application_environment(
        config.name, config.folder, listen=config.listen, viewport=config.viewport, bounds=config.bounds
    )


def make_catalog(config: EnvironmentConfig, split: Split) -> Catalog:
    """Creates the catalogue of a split's tasks; a mix has one for each part.

    Raises `TaskFileError` when a file of tasks cannot be used.
    """
    assert config.name != "mix", "the tasks of a mix are those of its parts"
    if config.tasks is None:
        environment = MiniWob() if config.name == "miniwob" else _application(config)
        chosen = config.domains if split == "train" else config.evaluation_domains
        return Families(environment, chosen or environment.domains(split))
    sampler = config.sampler
    group_by = sampler.by if isinstance(sampler, Ratio) and sampler.by != "difficulty" else ""
    reading = Reading(
        environment=config.name,
        split=split,
        start_url=config.tasks.start_url,
        max_steps=config.tasks.max_steps,
        needs_address=config.name != "metabase",
    )
    source = config.tasks.train if split == "train" else config.tasks.heldout
    return file_tasks(source, reading, group_by=group_by if split == "train" else "")
