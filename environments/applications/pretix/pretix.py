"""The ticket office as an environment."""

from browser_service.models import Viewport
from environments.applications.hosted.application import HostedApplication
from environments.applications.hosted.provider import HostedProvider
from environments.applications.hosted.recipe import installation
from environments.applications.pretix.recipe import IGNORED, recipe
from environments.applications.pretix.tasks import TEMPLATES
from environments.applications.pretix.world import SESSION, office
from environments.base import SeededEnvironment
from environments.bounds import UNBOUNDED, Bounds
from environments.tasks.application import ApplicationEnvironment

SPARES = 4
"""Databases that are cloned ahead, 25 MB of disk each."""


def places(*, spares: int = SPARES) -> HostedProvider:
    """Places of the ticket office, not yet started."""
    cookies = {"pretix_session": SESSION}
    return HostedProvider(recipe(), installation("pretix"), ignored=IGNORED, cookies=cookies, spares=spares)


def pretix(*, viewport: Viewport | None = None, bounds: Bounds = UNBOUNDED, spares: int = SPARES) -> SeededEnvironment:
    """The ticket office, not yet started. Entering it raises `EnvironmentBroken` if it is not installed."""
    application = HostedApplication("pretix", TEMPLATES, office)
    return ApplicationEnvironment(application, places(spares=spares), viewport=viewport, bounds=bounds)
