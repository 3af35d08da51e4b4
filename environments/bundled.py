"""Environments of applications: those of this project by name, and those in a folder of one's own."""

import importlib.util
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from browser_service.models import Viewport
from environments.applications.hosted.provider import HostedProvider
from environments.applications.hosted.recipe import Recipe
from environments.applications.misago.misago import misago
from environments.applications.misago.misago import places as misago_places
from environments.applications.misago.recipe import recipe as misago_recipe
from environments.applications.pretix.pretix import places as pretix_places
from environments.applications.pretix.pretix import pretix
from environments.applications.pretix.recipe import recipe as pretix_recipe
from environments.applications.roundcube.recipe import recipe as roundcube_recipe
from environments.applications.roundcube.roundcube import places as roundcube_places
from environments.applications.roundcube.roundcube import roundcube
from environments.applications.shop.shop import shop
from environments.base import SeededEnvironment
from environments.bounds import UNBOUNDED, Bounds
from environments.providers.static.application import StaticApplication
from environments.providers.static.provider import StaticProvider
from environments.tasks.application import ApplicationEnvironment

MODULE = "environment.py"
"""File of an environment's folder that has the function `make`."""


class NotAnEnvironment(ValueError):
    """A folder without a usable environment. One sentence."""


def static_environment(
    application: StaticApplication, *, viewport: Viewport | None = None, bounds: Bounds = UNBOUNDED
) -> SeededEnvironment:
    """A static application as an environment, not yet started."""
    return ApplicationEnvironment(application, StaticProvider(application), viewport=viewport, bounds=bounds)


BUNDLED: dict[str, Callable[[], StaticApplication]] = {"shop": shop}
"""Applications of this project that need no installation."""
HOSTED: dict[str, Callable[..., SeededEnvironment]] = {"misago": misago, "pretix": pretix, "roundcube": roundcube}
"""Applications that are installed from packages."""
PROVIDERS: dict[str, Callable[..., HostedProvider]] = {
    "misago": misago_places,
    "pretix": pretix_places,
    "roundcube": roundcube_places,
}
"""Their places, with the number of spares."""
RECIPES: dict[str, Callable[[], Recipe]] = {
    "misago": misago_recipe,
    "pretix": pretix_recipe,
    "roundcube": roundcube_recipe,
}
"""How they are installed."""
KNOWN = (*BUNDLED, *HOSTED)


def application_environment(
    name: str, folder: str = "", *, viewport: Viewport | None = None, bounds: Bounds = UNBOUNDED
) -> SeededEnvironment:
    """A bundled environment by its name, or with the name `folder` that of a folder.

    Raises `NotAnEnvironment` for a folder that can't be used.
    """
    if name in HOSTED:
        return HOSTED[name](viewport=viewport, bounds=bounds)
    if name != "folder":
        return static_environment(BUNDLED[name](), viewport=viewport, bounds=bounds)
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
