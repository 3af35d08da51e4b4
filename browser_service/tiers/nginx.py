"""A configuration for nginx in front of the masters, filled from the template beside this file."""

from collections.abc import Sequence
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).parent / "nginx.conf.txt"


class _Template(Template):
    """`@name` stands for a value: `$` is nginx's own."""

    delimiter = "@"


def configuration(
    *,
    server_name: str,
    certificate: Path,
    certificate_key: Path,
    upstreams: Sequence[str],
    requests_per_second: int,
) -> str:
    """The text of a file for nginx's `http` section, such as `/etc/nginx/conf.d/browser-service.conf`.

    Raises ValueError for a value that would be more than one word there.
    """
    words = [server_name, str(certificate), str(certificate_key), *upstreams]
    for word in words:
        if not word or any(character.isspace() or character in ";{}\"'#$" for character in word):
            raise ValueError(f"{word!r} can't stand in an nginx configuration: one word without ;{{}}\"'#$ is wanted")
    servers = "\n".join(f"    server {upstream} max_fails=0;" for upstream in upstreams)
    return _Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        server_name=server_name,
        certificate=certificate,
        certificate_key=certificate_key,
        servers=servers,
        rate=requests_per_second,
        burst=2 * requests_per_second,
    )
