"""Turns an error answer, or a missing answer, into an error: of the service itself, or of a proxy in front of it."""

import random
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from browser_service.errors import BrowserServiceError, RateLimited, Unreachable, error_of

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
JITTER = 0.25
"""Random part that is added to a Retry-After, so that clients refused together don't return together."""
PROBLEM_TYPE = "application/problem+json"
BAD_GATEWAYS = frozenset({502, 503, 504})
WRONG_HOST = 421


class NotOurs(Unreachable):
    """Nothing of the service answers at this address."""


class Untrusted(BrowserServiceError):
    """The address has a certificate of an authority that is not trusted; a retry changes nothing."""

    code, status, fault, retryable = "UNTRUSTED", 495, "client", False


def silence(url: str, error: httpx.HTTPError) -> BrowserServiceError:
    """The error for a failed request."""
    if refused := _certificate_error(error):
        return Untrusted(
            f"the certificate of the browser service at {url} is not trusted ({refused.verify_message}): name the file of its "
            "authority as ca_file or BROWSER_SERVICE_CA_FILE"
        )
    kind = NotOurs if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else Unreachable
    return kind(no_answer(url, error))


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def no_answer(url: str, error: httpx.HTTPError) -> str:
    return f"no answer from the browser service at {url}: {str(error) or type(error).__name__}"


def refusal(response: httpx.Response, *, is_front: bool) -> BrowserServiceError:
    """The error in an answer of the service, or of a proxy between it and the client."""
    retry_after_s = _retry_after(response.headers.get("retry-after"))
    is_ours = response.headers.get("content-type", "").startswith(PROBLEM_TYPE)
    where = response.url.copy_with(path="", query=None)
    if not is_front and (not is_ours or response.status_code == WRONG_HOST):
        return NotOurs(f"no answer from the browser service at {where}: HTTP {response.status_code}")
    if not is_ours and response.status_code == RateLimited.status:
        return RateLimited(f"too many calls for what stands before {where}", retry_after_s=retry_after_s)
    if not is_ours and response.status_code in BAD_GATEWAYS:
        detail = f"no answer from the browser service behind {where}: HTTP {response.status_code}"
        return Unreachable(detail, retry_after_s=retry_after_s)
    error = error_of(response.status_code, response.content)
    if error.retry_after_s is None:
        error.retry_after_s = retry_after_s
    return error


def pause(retry_after_s: float | None, attempt: int) -> float:
    """Seconds until the next attempt: never before the time that the service asked for."""
    if retry_after_s is not None:
        return retry_after_s * random.uniform(1, 1 + JITTER)
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * random.uniform(0.5, 1)


def _retry_after(header: str | None) -> float | None:
    """Seconds, from either form of the header: a number or a date."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
