"""The record of the console of a lease's pages: one line of JSON about the whole, then one line for each message."""

from typing import Annotated

from pydantic import Field

from browser_service.models.wire import Wire


class ConsoleLine(Wire):
    """One message of a page, or an error that no script of it caught.

    Example: `ConsoleLine(step=3, at_s=12.4, kind="error", text="TypeError: cart is null", url="https://shop.example/app.js", line=7)`
    """

    step: Annotated[int, Field(ge=0)]
    """Number of the lease's steps that had begun: 1 for a message during the first step."""
    at_s: Annotated[float, Field(ge=0)]
    """Seconds since the recording began."""
    kind: str
    """Playwright's type: log, debug, info, warning, error, .., or `exception` for an error that nobody caught."""
    text: str
    """At most 2,000 characters."""
    url: str = ""
    """The script's address, without user name and password; empty where the browser does not tell it."""
    line: Annotated[int, Field(ge=0)] = 0


class ConsoleHead(Wire):
    """The first line of the record."""

    steps: Annotated[int, Field(ge=0)]
    """Number of steps that the lease began."""
    full: bool = False
    """True if there was no room for further messages."""
