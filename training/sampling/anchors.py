"""Anchors: a name for the page where a turn began, equal when two turns began at the same page."""

import hashlib
import json
from typing import Literal
from urllib.parse import urlsplit

from agent.types import Step


def anchor_of(step: Step, kind: Literal["page", "screenshot"]) -> str | None:
    """sha256 of what `kind` compares; None where the observation does not have it, so that the turn has no equal.

    `page`: the address without its port (every episode may have a server of its own) and the accessibility tree, or
    the marks without their places where no tree was recorded: a form that is filled in is another page than an
    empty one. `screenshot`: the picture's bytes.
    """
    seen = step.observation
    if kind == "screenshot":
        return seen.screenshot.sha256 if seen.screenshot else None
    marks = [(mark.role, mark.name, mark.value, mark.checked, mark.options) for mark in seen.marks]
    content = marks if seen.ax_tree is None else seen.ax_tree
    if not content:
        return None
    return hashlib.sha256(json.dumps([_without_port(seen.url), content]).encode()).hexdigest()


def _without_port(url: str) -> str:
    """The address without port. A page's address is any text, so one that is no address is taken as it is."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.hostname or "").geturl()
    except ValueError:
        return url
