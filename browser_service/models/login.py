"""Log-in state of a lease: cookies and local storage, in the format of Playwright's storage-state files."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from browser_service.models.wire import Wire

Secret = Annotated[str, Field(max_length=8_192, repr=False)]


class Cookie(Wire):
    """One cookie. Example: `Cookie(name="session", value="9f..", domain="127.0.0.1", path="/")`."""

    model_config = ConfigDict(populate_by_name=True)

    name: Annotated[str, Field(min_length=1, max_length=4_096)]
    value: Secret
    domain: Annotated[str, Field(min_length=1, max_length=260)]
    """Host, or a domain with a leading dot for its subdomains too."""
    path: Annotated[str, Field(pattern=r"^/", max_length=2_048)] = "/"
    expires: float = -1
    """Unix time in seconds; -1 for a cookie of the session."""
    http_only: Annotated[bool, Field(alias="httpOnly")] = False
    secure: bool = False
    same_site: Annotated[Literal["Strict", "Lax", "None"], Field(alias="sameSite")] = "Lax"


class StoredItem(Wire):
    """One entry of a site's local storage."""

    name: Annotated[str, Field(max_length=4_096)]
    value: Secret


class OriginStorage(Wire):
    """Local storage of one origin, such as `http://127.0.0.1:8000`."""

    model_config = ConfigDict(populate_by_name=True)

    origin: Annotated[str, Field(pattern=r"^https?://[^/]+$", max_length=300)]
    local_storage: Annotated[list[StoredItem], Field(alias="localStorage", max_length=200)] = []


class LoginState(Wire):
    """Cookies and local storage that a browser has before its first page.

    Example: `LoginState(cookies=[Cookie(name="session", value="9f..", domain="127.0.0.1")])`
    """

    cookies: Annotated[list[Cookie], Field(max_length=200)] = []
    origins: Annotated[list[OriginStorage], Field(max_length=20)] = []
