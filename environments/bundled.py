"""Environments of applications: those of this project by name, and those in a folder of one's own."""

import importlib.util
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from browser_service.models import Viewport
from environments.applications.installed import INSTALLED
from environments.applications.shop.shop import shop
from environments.base import SeededEnvironment
from environments.bounds import UNBOUNDED, Bounds
from environments.providers.static.application import StaticApplication
from environments.providers.static.provider import StaticProvider
from environments.tasks.application import ApplicationEnvironment

HERE = "127.0.0.1"
MODULE = "environment.py"
"""File of an environment's folder that has the function `make`."""


class NotAnEnvironment(ValueError):
    """A folder without a usable environment. One sentence."""


def static_environment(
    application: StaticApplication,
    *,
    listen: str = HERE,
    viewport: Viewport | None = None,
    bounds: Bounds = UNBOUNDED,
) -> SeededEnvironment:
    """A static application as an environment, not yet started. `listen`: address on which its pages are served."""
    provider = StaticProvider(application, host=listen)
    return ApplicationEnvironment(application, provider, viewport=viewport, bounds=bounds)


BUNDLED: dict[str, Callable[[], StaticApplication]] = {"shop": shop}
"""Applications of this project that need no installation."""
KNOWN = (*BUNDLED, *INSTALLED)


def application_environment(
    name: str,
    folder: str = "",
    *,
    listen: str = HERE,
    viewport: Viewport | None = None,
    bounds: Bounds = UNBOUNDED,
) -> SeededEnvironment:
    """A bundled environment by its name, or with the name `folder` that of a folder. `listen`: see `static_environment`.

    Raises `NotAnEnvironment` for a folder that can't be used.
    """
    if name in INSTALLED:
        return INSTALLED[name].make(viewport=viewport, bounds=bounds)
    if name != "folder":
        return static_environment(BUNDLED[name](), listen=listen, viewport=viewport, bounds=bounds)
    make = getattr(load_folder(Path(folder)), "make", None)
    if not callable(make):
        raise NotAnEnvironment(
            f"{folder}/{MODULE}: expected a function make(*, viewport, bounds), found none; write it"
        )
    return make(viewport=viewport, bounds=bounds)


def load_folder(folder: Path) -> ModuleType:
    """Imports the module of an environment's folder, once per process; its own files are `from . import ...`.

    The code is run: an environment of one's own is trusted as the configuration is, which names it.
    Raises `NotAnEnvironment`.
    """
    file = folder / MODULE
    if not file.is_file():
        raise NotAnEnvironment(f"{folder}: expected an environment's folder with the file {MODULE}, found none")
    name = f"rl_loop_environment_{sha256(str(file.resolve()).encode()).hexdigest()[:12]}"
    if (loaded := sys.modules.get(name)) is not None:
        return loaded
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(folder)])
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        del sys.modules[name]
        raise NotAnEnvironment(f"{file} can't be imported: {type(error).__name__}: {error}") from error
    return module
