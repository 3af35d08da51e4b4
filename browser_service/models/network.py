"""The record of a lease's requests: one line of JSON about the whole, then one line for each request.

Headers are never recorded, so neither cookies nor authorizations are; values of secret fields are replaced.
"""

from typing import Annotated

from pydantic import Field

from browser_service.models.wire import Wire

REMOVED = "[removed]"
"""Stands for the value of a secret field in a body, such as a password."""
READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing by their meaning (RFC 9110, section 9.2.1)."""


class RequestRecord(Wire):
    """One request of a page.

    Example: `RequestRecord(step=3, at_s=12.4, method="POST", url="https://shop.example/cart", resource_type="fetch",
    content_type="application/json", body='{"sku": 7}', status=201)`
    """

    step: Annotated[int, Field(ge=0)]
    """Number of the lease's steps that had begun when it was sent: 1 for a request of the first step."""
    at_s: Annotated[float, Field(ge=0)]
    """Seconds since the recording began."""
    method: str
    url: str
    """Without user name and password."""
    url_cut: bool = False
    """True if only the beginning of the URL is recorded."""
    resource_type: str
    """Playwright's type: document, fetch, xhr, image, ping, .."""
    content_type: str = ""
    """Content type of the body, with the boundary of multipart forms."""
    body: str | None = None
    """The body; None if there is none, or if the browser did not tell it, as for files and streams."""
    base64: bool = False
    """True if `body` is base64, because the bytes are no UTF-8."""
    body_cut: bool = False
    """True if only the beginning of the body is recorded, or nothing of it."""
    status: int | None = None
    """HTTP status of the answer; None if there was none before the end of the lease."""
    error: str = ""
    """Chromium's error when the request failed without an answer. Example: `net::ERR_CONNECTION_REFUSED`."""

    @property
    def is_write(self) -> bool:
        """True if its method may change something."""
        return self.method not in READS


class RequestLogHead(Wire):
    """The first line of the record."""

    steps: Annotated[int, Field(ge=0)]
    """Number of steps that the lease began."""
    requests: Annotated[int, Field(ge=0)]
    """Number of requests that the pages made."""
    dropped_writes: Annotated[int, Field(ge=0)] = 0
    """Number of requests by a method that may change something that are not recorded: the last ones."""
    dropped_documents: Annotated[int, Field(ge=0)] = 0
    """Number of other requests for documents that are not recorded: the last ones."""
    dropped_reads: Annotated[int, Field(ge=0)] = 0
    """Number of all other requests that are not recorded: the last ones."""
