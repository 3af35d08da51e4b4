"""Signs in to an episode's Metabase, so that its browser has the session from the first page on."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from browser_service.models import Cookie, LoginState
from environments.applications.metabase.config import SignIn
from environments.base import EnvironmentBroken

SESSION = "metabase.SESSION"
"""The session's cookie."""
PATH = "api/session"
DEADLINE_S = 30.0


async def sign_in(url: str, account: SignIn, environment: Mapping[str, str]) -> LoginState:
    """The cookies of a new session at `url`, an address that ends with a slash. Raises `EnvironmentBroken`."""
    body = {"username": account.username, "password": password_of(account, environment)}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=DEADLINE_S) as http:
            reply = await http.post(f"{url}{PATH}", json=body)
            found = reply.json() if reply.status_code == httpx.codes.OK else {}
    except (httpx.HTTPError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise EnvironmentBroken(f"the log-in of {account.username} got no usable answer ({reason})") from None
    cookies = dict(reply.cookies.items())
    if isinstance(found, dict) and isinstance(found.get("id"), str):
        cookies.setdefault(SESSION, found["id"])
    if SESSION not in cookies:
        raise EnvironmentBroken(
            f"the log-in of {account.username} was refused ({reply.status_code}); correct environment.metabase.login, "
            f"or the dump"
        )
    try:
        return LoginState(
            cookies=[
                Cookie(name=name, value=value, domain=urlsplit(url).hostname or "", path="/", sameSite="Lax")
                for name, value in cookies.items()
            ]
        )
    except ValidationError:
        raise EnvironmentBroken(f"the log-in of {account.username} gave cookies that no browser takes") from None


def password_of(account: SignIn, environment: Mapping[str, str]) -> str:
    """The password. Raises `EnvironmentBroken` if its variable is not set."""
    if not (password := environment.get(account.password_env, "")):
        raise EnvironmentBroken(f"environment.metabase.login: set {account.password_env} to the password")
    return password
