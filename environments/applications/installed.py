"""The applications that are installed from packages, by name."""

from collections.abc import Callable
from typing import NamedTuple

from environments.applications.hosted.provider import HostedProvider
from environments.applications.hosted.recipe import Recipe
from environments.applications.mediawiki import mediawiki
from environments.applications.misago import misago
from environments.applications.pretix import pretix
from environments.applications.redmine import redmine
from environments.applications.roundcube import roundcube
from environments.applications.superset import superset
from environments.base import SeededEnvironment


class Installed(NamedTuple):
    """An application with its environment, its places and its installation."""

    make: Callable[..., SeededEnvironment]
    """The environment, not yet started."""
    places: Callable[..., HostedProvider]
    """Its places, with the number of spares."""
    recipe: Callable[[], Recipe]
    """How it is installed."""


INSTALLED: dict[str, Installed] = {
    "mediawiki": Installed(mediawiki.mediawiki, mediawiki.places, mediawiki.recipe),
    "misago": Installed(misago.misago, misago.places, misago.recipe),
    "pretix": Installed(pretix.pretix, pretix.places, pretix.recipe),
    "redmine": Installed(redmine.redmine, redmine.places, redmine.recipe),
    "roundcube": Installed(roundcube.roundcube, roundcube.places, roundcube.recipe),
    "superset": Installed(superset.superset, superset.places, superset.recipe),
}
