"""Superset as an environment."""

from browser_service.models import Viewport
from environments.applications.hosted.application import HostedApplication
from environments.applications.hosted.provider import HostedProvider
from environments.applications.hosted.recipe import installation
from environments.applications.superset.recipe import IGNORED, recipe
from environments.applications.superset.tasks import TEMPLATES
from environments.applications.superset.world import analytics, session
from environments.base import SeededEnvironment
from environments.bounds import UNBOUNDED, Bounds
from environments.tasks.application import ApplicationEnvironment

SPARES = 4
"""Databases that are cloned ahead, 20 MB of disk each."""


def places(*, spares: int = SPARES) -> HostedProvider:
    """Places of Superset, not yet started."""
    cookies = {"session": session()}
    return HostedProvider(recipe(), installation("superset"), ignored=IGNORED, cookies=cookies, spares=spares)


def superset(
    *, viewport: Viewport | None = None, bounds: Bounds = UNBOUNDED, spares: int = SPARES
) -> SeededEnvironment:
    """Superset, not yet started. Entering it raises `EnvironmentBroken` if it is not installed."""
    application = HostedApplication("superset", TEMPLATES, analytics)
    return ApplicationEnvironment(application, places(spares=spares), viewport=viewport, bounds=bounds)
