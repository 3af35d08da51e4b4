"""The roles, and the one that a request needs."""

from typing import Literal, get_args

Role = Literal["viewer", "runner", "admin"]
"""`viewer` reads; `runner` also uploads, starts, cancels, deletes and judges; `admin` also manages users and reads the audit log."""
ROLES: tuple[Role, ...] = get_args(Role)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OF_ADMINS = ("/api/users", "/api/audit")
OWN = ("/api/me",)
"""Paths on which every role may write: the own password and tokens."""


def needed_role(method: str, path: str) -> Role:
    """The least role that may make a request. A route that nobody thought of here needs `runner` to change anything."""
    if path.startswith(OF_ADMINS):
        return "admin"
    return "viewer" if method in SAFE_METHODS or path.startswith(OWN) else "runner"


def is_enough(role: Role, needed: Role) -> bool:
    """True if a person of `role` may do what needs `needed`."""
    return ROLES.index(role) >= ROLES.index(needed)
