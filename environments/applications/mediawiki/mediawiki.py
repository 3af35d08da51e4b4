"""The wiki as an environment."""

from browser_service.models import Viewport
from environments.applications.hosted.application import HostedApplication
from environments.applications.hosted.provider import HostedProvider
from environments.applications.hosted.recipe import installation
from environments.applications.mediawiki.recipe import IGNORED, recipe
from environments.applications.mediawiki.tasks import TEMPLATES
from environments.applications.mediawiki.world import ACTOR, ACTOR_ID, TOKEN, wiki
from environments.base import SeededEnvironment
from environments.bounds import UNBOUNDED, Bounds
from environments.tasks.application import ApplicationEnvironment

SPARES = 4
"""Databases that are cloned ahead, 22 MB of disk each."""


def places(*, spares: int = SPARES) -> HostedProvider:
    """Places of the wiki, not yet started."""
    cookies = {"wikiUserID": str(ACTOR_ID), "wikiUserName": ACTOR, "wikiToken": TOKEN}
    return HostedProvider(recipe(), installation("mediawiki"), ignored=IGNORED, cookies=cookies, spares=spares)


def mediawiki(
    *, viewport: Viewport | None = None, bounds: Bounds = UNBOUNDED, spares: int = SPARES
) -> SeededEnvironment:
    """The wiki, not yet started. Entering it raises `EnvironmentBroken` if it is not installed."""
    application = HostedApplication("mediawiki", TEMPLATES, wiki)
    return ApplicationEnvironment(application, places(spares=spares), viewport=viewport, bounds=bounds)
