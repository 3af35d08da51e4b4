"""The Docker engine: connection, and its errors in one sentence."""

from collections.abc import Generator
from contextlib import contextmanager

import docker
import requests
from docker.errors import DockerException, ImageNotFound, NotFound

from environments.base import EnvironmentBroken

ENGINE_DEADLINE_S = 60
"""Seconds for one call to the engine."""
GONE = NotFound
"""Raised for what another owner's sweep has removed already."""


def connect(url: str | None = None) -> docker.DockerClient:
    """The engine at `url`, such as `unix:///run/docker.sock`; None: the one of DOCKER_HOST.

    Raises `EnvironmentBroken` when none answers.
    """
    with told("the Docker engine does not answer; is it running, and may this user reach it?"):
        engine = (
            docker.DockerClient(base_url=url, timeout=ENGINE_DEADLINE_S)
            if url
            else docker.from_env(timeout=ENGINE_DEADLINE_S)
        )
        try:
            engine.ping()
        except BaseException:
            engine.close()
            raise
        return engine


@contextmanager
def told(what: str) -> Generator[None]:
    """Turns errors of the SDK into an `EnvironmentBroken` of one sentence."""
    try:
        yield
    except ImageNotFound as error:
        image = str(error.explanation or error).strip()
        raise EnvironmentBroken(f"an image is missing on this machine ({image}); build or load it first") from None
    except (DockerException, requests.RequestException) as error:
        reason = " ".join(str(getattr(error, "explanation", None) or error).split())[:300]
        raise EnvironmentBroken(f"{what} ({reason})") from None
