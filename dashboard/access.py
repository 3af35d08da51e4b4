"""Access control: tokens in a header for programs, a signed cookie for browsers after log-in.

The cookie is `name.expiry.signature`, signed by the person's own secret: a changed or removed secret ends all its sessions.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

COOKIE = "dashboard_session"
SESSION_S = 7 * 24 * 3_600


class Access:
    """The persons with their secrets. Without any, everybody who can reach the server may ask, as `local`."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = dict(tokens)

    @property
    def needs_login(self) -> bool:
        """True if there are persons."""
        return bool(self._tokens)

    def who(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The person of a request's headers; None: nobody that may ask."""
        if not self.needs_login:
            return "local"
        scheme, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() == "bearer":
            return self.of_secret(secret.strip())
        return self._of_cookie(headers.get(b"cookie", b"").decode("latin-1"))

    def of_secret(self, secret: str) -> str | None:
        """The person of a secret. Takes the same time for every wrong one."""
        found = None
        for name, known in self._tokens.items():
            if hmac.compare_digest(_digest(known), _digest(secret)):
                found = name
        return found

    def session(self, name: str, *, now: float | None = None) -> str:
        """The cookie's value of a person who has logged in."""
        expiry = int((time.time() if now is None else now) + SESSION_S)
        return f"{name.encode().hex()}.{expiry}.{self._sign(name, expiry)}"

    def _of_cookie(self, header: str) -> str | None:
        try:
            morsel = SimpleCookie(header).get(COOKIE)
            name_hex, expiry, signature = morsel.value.split(".") if morsel else ("", "", "")
            name = bytes.fromhex(name_hex).decode()
            valid = name in self._tokens and int(expiry) > time.time()
        except (CookieError, ValueError):
            return None
        return name if valid and hmac.compare_digest(signature, self._sign(name, int(expiry))) else None

    def _sign(self, name: str, expiry: int) -> str:
        return hmac.new(self._tokens[name].encode(), f"{name}.{expiry}".encode(), hashlib.sha256).hexdigest()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()
