"""The project tracker as an environment."""

from browser_service.models import Viewport
from environments.applications.hosted.application import HostedApplication
from environments.applications.hosted.provider import HostedProvider
from environments.applications.hosted.recipe import installation
from environments.applications.redmine.recipe import IGNORED, recipe
from environments.applications.redmine.tasks import TEMPLATES
from environments.applications.redmine.world import AUTOLOGIN, tracker
from environments.base import SeededEnvironment
from environments.bounds import UNBOUNDED, Bounds
from environments.tasks.application import ApplicationEnvironment

SPARES = 4
"""Databases that are cloned ahead, 13 MB of disk each."""


def places(*, spares: int = SPARES) -> HostedProvider:
    """Places of the project tracker, not yet started."""
    cookies = {"autologin": AUTOLOGIN}
    return HostedProvider(recipe(), installation("redmine"), ignored=IGNORED, cookies=cookies, spares=spares)


def redmine(*, viewport: Viewport | None = None, bounds: Bounds = UNBOUNDED, spares: int = SPARES) -> SeededEnvironment:
    """The project tracker, not yet started. Entering it raises `EnvironmentBroken` if it is not installed."""
    application = HostedApplication("redmine", TEMPLATES, tracker)
    return ApplicationEnvironment(application, places(spares=spares), viewport=viewport, bounds=bounds)
