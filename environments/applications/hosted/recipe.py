"""How an application is installed, and how it is started."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

INSIDE = Path(__file__).with_name("inside")
"""Programs that run inside the virtual environments of all applications."""
GOLDEN = "golden"
"""Name of the database that episodes are cloned from."""
NAMES = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An application that is installed from Python or Debian packages, by name.

    In commands and variables, `{python}` and `{bin}` stand for the virtual environment's interpreter and folder of
    programs, `{root}` for the folder that Debian packages are unpacked in, `{site}` for the folder of the application's own
    files, `{modules}` for the value of PYTHONPATH, and `{world}` for the file with the data that is seeded.
    """

    name: str
    title: str
    """Example: `Misago 0.39.6, a forum`."""
    licence: str
    requirements: tuple[str, ...] = ()
    """Python packages; without any there is no virtual environment."""
    constraints: Path | None = None
    """File with the exact version of every Python package."""
    debian: tuple[str, ...] = ()
    """Debian packages, unpacked with what they need and this machine lacks: nothing of the system is changed."""
    site: Path
    """Folder with the settings and the programs that run inside the application's virtual environment."""
    world: Any
    """Data that the seed program is given, as JSON."""
    seed: tuple[Sequence[str], ...]
    """Commands that fill the empty database `golden`, in order."""
    serve: Sequence[str]
    """Command of the server, with `{port}` too."""
    variables: Mapping[str, str] = field(default_factory=dict)
    health: str = "/healthz"
    first_page: str = "/"
    """Path of the page that an episode begins with."""
    disk_mb: int = 0
    """Size of the installation."""

    def __post_init__(self) -> None:
        if not NAMES.fullmatch(self.name):
            raise ValueError(f"expected an application's name such as misago, found {self.name!r}")

    @property
    def packages_digest(self) -> str:
        """Changes when other packages are wanted."""
        pinned = self.constraints.read_text() if self.constraints else ""
        return _digest("\n".join(self.requirements), pinned, *self.debian)

    def data_digest(self, world: str) -> str:
        """Changes when the start state would be another one."""
        files = [
            path
            for folder in (self.site, INSIDE)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix != ".pyc"
        ]
        return _digest(self.packages_digest, world, str(self.seed), *(path.read_text() for path in files))


@dataclass(frozen=True)
class Installation:
    """Folder of an installed application. Example: `~/.cache/rl-loop/environments/misago`."""

    folder: Path

    @property
    def packages(self) -> Path:
        """The application's own virtual environment."""
        return self.folder / "packages"

    @property
    def root(self) -> Path:
        """Unpacked Debian packages, with their folders `usr`, `etc` and `var`."""
        return self.folder / "root"

    @property
    def data(self) -> Path:
        """Data of a Postgres server that was shut down, with the database `golden`."""
        return self.folder / "data"

    @property
    def files(self) -> Path:
        """Files that the seed made beside the database, in the folder `golden`; see `hosted/files.py`."""
        return self.folder / "files"

    @property
    def marker(self) -> Path:
        """Written last: its existence means that the installation is complete."""
        return self.folder / "installed.json"

    @property
    def licences(self) -> Path:
        """Name, version and licence of every package."""
        return self.folder / "licences.txt"

    def placeholders(self, recipe: Recipe) -> dict[str, str]:
        """Values of the recipe's placeholders."""
        programs = self.packages / "bin"
        return {
            "python": str(programs / "python"),
            "bin": str(programs),
            "root": str(self.root),
            "site": str(recipe.site),
            "modules": os.pathsep.join((str(recipe.site), str(INSIDE))),
            "world": str(self.folder / "world.json"),
        }


def filled(text: str, given: Mapping[str, str]) -> str:
    """The text with the given placeholders replaced; others stay, such as `{port}`, which the server's start replaces."""
    for name, value in given.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def installation(name: str, cache: Path | None = None) -> Installation:
    """The place of an application's installation, by default below the user's cache directory."""
    return Installation((cache or default_cache()) / name)


def default_cache() -> Path:
    """`rl-loop/environments` below XDG_CACHE_HOME, or below `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rl-loop" / "environments"


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:16]
