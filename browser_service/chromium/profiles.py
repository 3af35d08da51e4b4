"""The context profile: the part of a lease request that can't be changed once the context is open."""

from dataclasses import dataclass
from typing import Any

from browser_service.models import Isolation, LeaseRequest, Viewport
from browser_service.settings import Settings


@dataclass(frozen=True)
class Profile:
    """Settings of a context. Contexts of equal profiles are interchangeable until they are used.

    Example: `Profile(isolation="context", viewport=Viewport(width=1280, height=768))`.
    """

    isolation: Isolation
    viewport: Viewport
    downloads: bool = False
    locale: str | None = None
    timezone: str | None = None

    @classmethod
    def of(cls, request: LeaseRequest, settings: Settings) -> "Profile":
        """The profile that this request needs, in a service with these settings."""
        return cls(
            isolation=request.isolation or settings.isolation,
            viewport=request.viewport,
            downloads=request.downloads,
            locale=request.locale,
            timezone=request.timezone,
        )

    def options(self) -> dict[str, Any]:
        """Playwright's options for the context."""
        return {
            "viewport": {"width": self.viewport.width, "height": self.viewport.height},
            "service_workers": "block",
            "accept_downloads": self.downloads,
            "locale": self.locale,
            "timezone_id": self.timezone,
        }
