"""Installs an application: its packages, its database, its data. What is complete already is kept."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

from environments.applications.hosted.debian import unpack
from environments.applications.hosted.recipe import GOLDEN, Installation, Recipe, filled
from environments.base import EnvironmentBroken
from environments.providers.postgres.cluster import Cluster
from environments.providers.process.server import tail

PACKAGES_DEADLINE_S = 1_800.0
SEED_DEADLINE_S = 900.0
STEP = ("Collecting", "Downloading", "Installing collected packages", "Successfully installed")
LICENCES = """
from importlib.metadata import distributions
for one in sorted(distributions(), key=lambda one: one.name.lower()):
    kinds = [line.split(" :: ")[-1] for line in one.metadata.get_all("Classifier") or () if line.startswith("License ::")]
    stated = (one.metadata.get("License-Expression") or ", ".join(kinds) or one.metadata.get("License") or "not stated")
    print(one.name, one.version, stated.splitlines()[0][:80], sep="; ")
"""
Tell = Callable[[str], None]


async def install(recipe: Recipe, place: Installation, *, tell: Tell) -> bool:
    """Installs an application; False if it was complete. `tell` gets the progress. Raises `EnvironmentBroken`."""
    place.folder.mkdir(parents=True, exist_ok=True)
    async with _alone(place.folder / "lock", tell):
        world = json.dumps(recipe.world, sort_keys=True)
        wanted = {"packages": recipe.packages_digest, "data": recipe.data_digest(world)}
        found = installed(place)
        if found == wanted:
            return False
        place.marker.unlink(missing_ok=True)
        if found.get("packages") != wanted["packages"]:
            await _install_packages(recipe, place, tell)
            _write_marker(place, {"packages": wanted["packages"]})
        tell(f"{recipe.name}: filling its database")
        await asyncio.to_thread(_write, place.folder / "world.json", world)
        await _fill(recipe, place, tell)
        _write_marker(place, wanted)
        return True


def installed(place: Installation) -> dict[str, str]:
    """The digests of what is installed; empty without an installation."""
    try:
        found = json.loads(place.marker.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check_installed(recipe: Recipe, place: Installation) -> None:
    """Raises `EnvironmentBroken` unless the application is installed as the recipe wants it."""
    found = installed(place)
    wanted = recipe.data_digest(json.dumps(recipe.world, sort_keys=True))
    if found.get("data") != wanted:
        state = "is installed with other data or packages" if found else "is not installed"
        raise EnvironmentBroken(f"{recipe.name} {state}; run `rl-loop environments install {recipe.name}`")


async def _install_packages(recipe: Recipe, place: Installation, tell: Tell) -> None:
    log = place.folder / "install.log"
    for folder in (place.packages, place.root):
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    tell(f"{recipe.title} ({recipe.licence}), about {recipe.disk_mb} MB, into {place.folder}")
    listed = place.folder / "licences.txt.new"
    listed.unlink(missing_ok=True)
    if recipe.debian:
        await asyncio.to_thread(unpack, recipe.debian, place.root, listed, tell)
    if recipe.requirements:
        await run([sys.executable, "-m", "venv", str(place.packages)], log, {}, PACKAGES_DEADLINE_S)
        python = str(place.packages / "bin" / "python")
        pip = [python, "-m", "pip", "install", "--progress-bar", "off", "-c", str(recipe.constraints)]
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "SSL_", "http", "HTTP", "no_"))
        }
        await run([*pip, *recipe.requirements], log, kept, PACKAGES_DEADLINE_S, tell)
        await run([python, "-c", LICENCES], listed, {}, SEED_DEADLINE_S)
    listed.replace(place.licences)


async def _fill(recipe: Recipe, place: Installation, tell: Tell) -> None:
    """Fills a new cluster with the recipe's commands and keeps its data."""
    log = place.folder / "seed.log"
    log.unlink(missing_ok=True)
    given = place.placeholders(recipe)
    kept, files = place.folder / "data.new", place.folder / "files.new"
    for folder in (kept, files):
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    files.mkdir()
    async with Cluster(keep=kept) as cluster:
        async with cluster.connected("postgres") as connection:
            await connection.execute(f'CREATE DATABASE "{GOLDEN}"')
        variables = {name: filled(value, given) for name, value in recipe.variables.items()}
        variables |= {"RL_LOOP_POSTGRES": str(cluster.folder), "RL_LOOP_DATABASE": GOLDEN, "RL_LOOP_FILES": str(files)}
        for command in recipe.seed:
            parts = [filled(part, given) for part in command]
            tell(f"{recipe.name}: {' '.join(Path(part).name for part in parts[:3])}")
            await run(parts, log, variables | {"PYTHONPATH": given["modules"]}, SEED_DEADLINE_S)
        async with cluster.connected(GOLDEN) as connection:
            await connection.execute("VACUUM ANALYZE")
    for made, folder in ((kept, place.data), (files, place.files)):
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        made.replace(folder)


async def run(
    command: Sequence[str], log: Path, variables: Mapping[str, str], deadline_s: float, tell: Tell | None = None
) -> None:
    """Runs a command with its output in a file. Raises `EnvironmentBroken` with its end."""
    base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if tell else output,
            stderr=output,
            env=base | dict(variables),
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(deadline_s):
                if tell and process.stdout:
                    async for line in process.stdout:
                        output.write(line)
                        if (said := line.decode(errors="replace").strip()).startswith(STEP):
                            tell(said[:100])
                status = await process.wait()
        except TimeoutError:
            raise EnvironmentBroken(f"not done within {deadline_s:g} s: {' '.join(command)[:100]}") from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if status != 0:
        raise EnvironmentBroken(f"{' '.join(command)[:100]} failed ({log}): {tail(log)}")


@contextlib.asynccontextmanager
async def _alone(file: Path, tell: Tell) -> AsyncGenerator[None]:
    """Holds a lock file, which the system frees when this process ends; another installation is waited for."""
    with file.open("w") as lock:
        is_announced = False
        async with asyncio.timeout(PACKAGES_DEADLINE_S):
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not is_announced:
                        tell("another process installs the same application; waiting for it")
                        is_announced = True
                    await asyncio.sleep(0.5)
        yield


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _write_marker(place: Installation, found: Mapping[str, str]) -> None:
    new = place.marker.with_suffix(".new")
    new.write_text(json.dumps(found))
    new.replace(place.marker)
