"""The mail application as an environment."""

from browser_service.models import Viewport
from environments.applications.hosted.application import HostedApplication
from environments.applications.hosted.provider import HostedProvider
from environments.applications.hosted.recipe import installation
from environments.applications.roundcube.recipe import IGNORED, files, recipe
from environments.applications.roundcube.tasks import TEMPLATES
from environments.applications.roundcube.world import SESSION, account
from environments.base import SeededEnvironment
from environments.bounds import UNBOUNDED, Bounds
from environments.tasks.application import ApplicationEnvironment

SPARES = 4
"""Databases and mailboxes that are cloned ahead, 10 MB of disk each."""


def places(*, spares: int = SPARES) -> HostedProvider:
    """Places of the mail application, not yet started."""
    cookies = {"roundcube_sessid": SESSION, "roundcube_sessauth": "seeded"}
    place = installation("roundcube")
    return HostedProvider(recipe(), place, ignored=IGNORED, cookies=cookies, spares=spares, files=files())


def roundcube(
    *, viewport: Viewport | None = None, bounds: Bounds = UNBOUNDED, spares: int = SPARES
) -> SeededEnvironment:
    """The mail application, not yet started. Entering it raises `EnvironmentBroken` if it is not installed."""
    application = HostedApplication("roundcube", TEMPLATES, account)
    return ApplicationEnvironment(application, places(spares=spares), viewport=viewport, bounds=bounds)
