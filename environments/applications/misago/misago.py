"""The forum as an environment."""

from browser_service.models import Viewport
from environments.applications.hosted.application import HostedApplication
from environments.applications.hosted.provider import HostedProvider
from environments.applications.hosted.recipe import installation
from environments.applications.misago.recipe import IGNORED, recipe
from environments.applications.misago.tasks import TEMPLATES
from environments.applications.misago.world import SESSION, forum
from environments.base import SeededEnvironment
from environments.bounds import UNBOUNDED, Bounds
from environments.tasks.application import ApplicationEnvironment

SPARES = 4
"""Databases that are cloned ahead, 20 MB of disk each."""


def places(*, spares: int = SPARES) -> HostedProvider:
    """Places of the forum, not yet started."""
    cookies = {"sessionid": SESSION}
    return HostedProvider(recipe(), installation("misago"), ignored=IGNORED, cookies=cookies, spares=spares)


def misago(*, viewport: Viewport | None = None, bounds: Bounds = UNBOUNDED, spares: int = SPARES) -> SeededEnvironment:
    """The forum, not yet started. Entering it raises `EnvironmentBroken` if it is not installed."""
    application = HostedApplication("misago", TEMPLATES, forum)
    return ApplicationEnvironment(application, places(spares=spares), viewport=viewport, bounds=bounds)
