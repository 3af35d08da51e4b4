"""A configuration for nginx in front of the masters, filled from the template beside this file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).parent / "nginx.conf.txt"
FAILED_FOR_S = 10
"""Seconds until a master that has not answered is tried again."""


class _Template(Template):
    """`%name` stands for a value: `$` and `@` belong to nginx's own syntax."""

    delimiter = "%"


@dataclass(frozen=True, kw_only=True)
class Front:
    """Address, names and files of nginx itself."""

    server_name: str
    certificate: Path
    certificate_key: Path
    requests_per_second: int = 200
    port: int = 443
    access_log: Path = Path("/var/log/nginx/browser_service.log")


def configuration(front: Front, upstreams: Sequence[str]) -> str:
    """The text of a file for nginx's `http` section, such as `/etc/nginx/conf.d/browser-service.conf`.

    `upstreams`: `host:port` of each master. Raises ValueError for a value that would be more than one word there.
    """
    words = [front.server_name, *map(str, (front.certificate, front.certificate_key, front.access_log)), *upstreams]
    for word in words:
        if not word or any(character.isspace() or character in ";{}\"'#$" for character in word):
            raise ValueError(f"{word!r} can't stand in an nginx configuration: one word without ;{{}}\"'#$ is wanted")
    return _Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        server_name=front.server_name,
        certificate=front.certificate,
        certificate_key=front.certificate_key,
        access_log=front.access_log,
        port=front.port,
        watched=_servers(upstreams, f"max_fails=1 fail_timeout={FAILED_FOR_S}s"),
        others=_servers(upstreams, "max_fails=0"),
        rate=front.requests_per_second,
        burst=2 * front.requests_per_second,
    )


def _servers(upstreams: Sequence[str], terms: str) -> str:
    return "\n".join(f"    server {upstream} {terms};" for upstream in upstreams)
