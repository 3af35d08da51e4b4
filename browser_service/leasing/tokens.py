"""The secret token of a lease, and the key by which the tiers of the service authenticate one another.

A token is signed, so every process with the tier key can verify it without a lookup: a master finds the instance that a
call belongs to, a restarted instance tells a lease of its earlier process from an invented one.

    <instance, base64>.<slot>.<generation>.<HMAC-SHA256 of lease id, instance, slot and generation>
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

KEY_FILE = "tier-key"
LONGEST_TOKEN = 1_000


@dataclass(frozen=True)
class LeaseLocation:
    """The content of a token: where the lease runs. Example: `LeaseLocation("http://127.0.0.1:9000", 2, 17)`."""

    instance: str
    slot: int
    generation: int


class TierKey:
    """The key that all processes of one service share."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    @classmethod
    def random(cls) -> "TierKey":
        """A random key, for a service of one process."""
        return cls(secrets.token_urlsafe(32))

    @property
    def value(self) -> str:
        """The key as text, for the environment of a child process and the header `x-tier-key`."""
        return self._secret.decode()

    def matches(self, given: bytes | None) -> bool:
        """True if the given bytes are this key; compares in constant time."""
        return given is not None and hmac.compare_digest(given, self._secret)

    def sign(self, lease_id: str, where: LeaseLocation) -> str:
        """The token of a lease."""
        instance = base64.urlsafe_b64encode(where.instance.encode()).decode().rstrip("=")
        return f"{instance}.{where.slot}.{where.generation}.{self._mac(lease_id, where)}"

    def read(self, lease_id: str, token: str | None) -> LeaseLocation | None:
        """The location of the lease, if the token is valid for it; else None."""
        where = _claimed(token) if token and len(token) <= LONGEST_TOKEN else None
        if where is None or token is None:
            return None
        given = token.rpartition(".")[2]
        return where if same_secret(given, self._mac(lease_id, where)) else None

    def _mac(self, lease_id: str, where: LeaseLocation) -> str:
        text = f"{lease_id}|{where.instance}|{where.slot}|{where.generation}"
        return hmac.new(self._secret, _as_bytes(text), hashlib.sha256).hexdigest()


def same_secret(given: str | None, expected: str) -> bool:
    """True if two secrets are equal; compares in constant time."""
    return given is not None and hmac.compare_digest(_as_bytes(given), _as_bytes(expected))


def _as_bytes(said: str) -> bytes:
    """Encodes any text, also lone surrogates, which callers may send and UTF-8 does not have."""
    return said.encode("utf-8", "surrogatepass")


def shared_key(folder: Path) -> TierKey:
    """The key of processes that are started by hand on this machine, in a file that only this user can read.

    Raises OSError when the file can't be written, or when others could read it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    path = folder / KEY_FILE
    fresh = path.with_name(f"{KEY_FILE}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secrets.token_urlsafe(32).encode())
        os.link(fresh, path)  # the file is complete from the start, and only one of several processes succeeds
    except FileExistsError:
        pass
    finally:
        os.close(descriptor)
        fresh.unlink()
    found = path.stat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise OSError(f"{path} can be read by others: remove it, and the next start writes a new one")
    return TierKey(path.read_text(encoding="ascii"))


def _claimed(token: str) -> LeaseLocation | None:
    parts = token.split(".")
    if len(parts) != 4 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    try:
        instance = base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    return LeaseLocation(instance, int(parts[1]), int(parts[2]))
