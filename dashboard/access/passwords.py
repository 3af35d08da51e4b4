"""Passwords, stored as Argon2id hashes with the parameters of RFC 9106, section 4 (argon2-cffi's default)."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 200
AT_ONCE = 2
"""Passwords that are hashed at the same time: each takes 64 MiB, and everybody may try to log in."""

_hasher = PasswordHasher()
_room = threading.BoundedSemaphore(AT_ONCE)
_of_nobody = ""


class BadPassword(ValueError):
    """The password can't be used. The message is one sentence."""


def hashed(password: str, name: str) -> str:
    """The hash of a new password. Raises `BadPassword`: too short, too long, or the person's own name."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadPassword(f"a password has {SHORTEST} to {LONGEST} characters, found {len(password)}")
    if password.casefold() == name.casefold() or len(set(password)) < 5:
        raise BadPassword("a password is not the name and has at least 5 different characters; take several words")
    with _room:
        return _hasher.hash(password)


def is_right(password: str, stored: str) -> bool:
    """True if this is the password of a hash. For an empty hash (an unknown name) it takes as long, and is False."""
    global _of_nobody
    with _room:
        if not stored and not _of_nobody:
            _of_nobody = _hasher.hash("nobody knows this one")
        try:
            return _hasher.verify(stored or _of_nobody, password[: LONGEST + 1]) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False
