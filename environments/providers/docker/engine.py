"""The Docker engine: connection, and its errors in one sentence."""

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager

import docker
import docker.utils
import requests
from docker.errors import DockerException, ImageNotFound, NotFound

from environments.base import EnvironmentBroken

ENGINE_DEADLINE_S = 60
"""Seconds for one call to the engine."""
GONE = NotFound
"""Raised for what another owner's sweep has removed already."""


def connect(url: str | None = None, *, deadline_s: int = ENGINE_DEADLINE_S) -> docker.DockerClient:
    """The engine at `url`, such as `unix:///run/docker.sock`; None: the one of DOCKER_HOST. `deadline_s`: for one call.

    Raises `EnvironmentBroken` when none answers.
    """
    with engine_errors("the Docker engine does not answer; is it running, and may this user reach it?"):
        _probe(url)
        engine = docker.DockerClient(base_url=url, timeout=deadline_s) if url else docker.from_env(timeout=deadline_s)
        try:
            engine.ping()
        except BaseException:
            engine.close()
            raise
        return engine


def _probe(url: str | None) -> None:
    """Raises OSError when nothing listens on the engine's UNIX socket: the SDK leaves its own socket open then."""
    scheme, _, path = docker.utils.parse_host(url or os.environ.get("DOCKER_HOST")).partition("://")
    if scheme == "http+unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ENGINE_DEADLINE_S)
            probe.connect(path)


@contextmanager
def engine_errors(action: str) -> Generator[None]:
    """Turns errors of the SDK into an `EnvironmentBroken` of one sentence that begins with `action`: "a network can't be made"."""
    try:
        yield
    except ImageNotFound as error:
        image = str(error.explanation or error).strip()
        raise EnvironmentBroken(
            f"an image is missing on this machine ({image}); pull, load or build it first"
        ) from None
    except (DockerException, requests.RequestException, OSError) as error:
        reason = " ".join(str(getattr(error, "explanation", None) or error).split())[:300]
        raise EnvironmentBroken(f"{action} ({reason})") from None
