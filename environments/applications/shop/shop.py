"""The shop as a static application."""

from pathlib import Path

from environments.applications.shop.actions import ACTIONS, VIEWS
from environments.applications.shop.state import start
from environments.applications.shop.tasks import TEMPLATES
from environments.providers.static.application import StaticApplication


def shop() -> StaticApplication:
    """The shop, not yet served."""
    return StaticApplication(
        "shop",
        pages=Path(__file__).with_name("pages"),
        start=start,
        actions=ACTIONS,
        views=VIEWS,
        templates=TEMPLATES,
        sign_in_page="sign-in.html",
    )
