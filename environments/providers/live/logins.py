"""Log-in profiles: files with the log-in state of a person's account, by the host that they are for.

A file is what Playwright writes with `context.storage_state(path=...)`. The configuration names it; a task can't.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from browser_service.models import LoginState
from environments.base import EnvironmentBroken
from environments.bounds import is_listed

MOST_BYTES = 1_000_000


class Logins:
    """The profiles of a configuration, read when they are first used. Example: `Logins({"example.com": Path("me.json")})`."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)
        self._read: dict[str, LoginState] = {}

    def of(self, host: str) -> LoginState | None:
        """The profile for a host or a domain above it; None without one. Raises `EnvironmentBroken` for a bad file."""
        name = max((name for name in self._files if is_listed(host, (name,))), key=len, default=None)
        if name is None:
            return None
        if name not in self._read:
            self._read[name] = read_login(self._files[name])
        return self._read[name]


def read_login(file: Path) -> LoginState:
    """Reads a storage-state file. Raises `EnvironmentBroken`, whose message never has a value of it."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise EnvironmentBroken(f"{file}: expected a log-in profile of at most {MOST_BYTES} bytes")
        return LoginState.model_validate_json(file.read_bytes())
    except OSError as error:
        raise EnvironmentBroken(f"{file}: the log-in profile can't be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EnvironmentBroken(f"{file} is no storage state of Playwright: {where}: {first['msg']}") from None
