"""Containers on a real engine, started here; its one image is made from a static busybox. Skipped where there is no dockerd."""

import asyncio
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import docker
import httpx
import pytest
from process_owner import HTTPD, SERVER

from environments.base import EnvironmentBroken
from environments.providers.docker.compose import read_compose
from environments.providers.docker.containers import ContainerSpec
from environments.providers.docker.engine import connect
from environments.providers.docker.provider import Containers
from environments.providers.docker.sweep import sweep
from environments.providers.owners import LABEL

DOCKERD, BUSYBOX = shutil.which("dockerd"), shutil.which("busybox")
needs_engine = pytest.mark.skipif(
    not DOCKERD or not BUSYBOX or os.getuid() != 0, reason="dockerd, a static busybox and root are needed"
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of an engine with the image `rl-loop-test:busybox`."""
    folder = tmp_path_factory.mktemp("docker")
    address = f"unix://{folder}/docker.sock"
    command = [DOCKERD, "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*map(str, command), "--host", address], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                client = connect(address)
                break
            except EnvironmentBroken:
                if time.monotonic() > until or process.poll() is not None:
                    pytest.skip(f"no engine starts here: {(folder / 'log').read_text()[-300:]}")
                time.sleep(0.2)
        client.api.import_image_from_data(image(), repository="rl-loop-test", tag="busybox")
        yield address
        client.close()
    finally:
        process.terminate()
        process.wait(60)


def image() -> bytes:
    """A root file system with busybox and one page."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(str(BUSYBOX), "bin/busybox")
        page = tarfile.TarInfo("www/index.html")
        page.size = 5
        tar.addfile(page, io.BytesIO(b"hello"))
    return made.getvalue()


def left(address: str) -> list[str]:
    """Names of all containers, networks and volumes with our label."""
    client = docker.DockerClient(base_url=address)
    wanted = {"label": LABEL}
    found = [*client.containers.list(all=True, filters=wanted), *client.networks.list(filters=wanted)]
    names = [str(thing.name) for thing in found]
    client.close()
    return names


def test_without_an_engine_it_is_one_sentence() -> None:
    with pytest.raises(EnvironmentBroken, match="the Docker engine does not answer"):
        connect("unix:///no/such/docker.sock")


def test_compose_files_become_containers(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(
        "services:\n  web: {image: a, ports: ['80'], depends_on: [db], mem_limit: 512m, x-health: /up}\n"
        "  db: {image: b, environment: {A: 1}, read_only: true}\n"
    )
    db, web = read_compose(file)
    assert (db.name, db.variables, db.port, db.read_only) == ("db", {"A": "1"}, None, True)
    assert (web.port, web.memory_mb, web.health, web.read_only) == (80, 512, "/up", False)
    for wrong in ("services: {a: {image: x, privileged: true}}", "- 1", "services: {a: {image: x, depends_on: [b]}}"):
        file.write_text(wrong)
        with pytest.raises(EnvironmentBroken, match=r"compose\.yaml"):
            read_compose(file)


@needs_engine
@pytest.mark.chaos
async def test_containers_are_fresh_limited_and_removed(engine: str) -> None:
    shell = ContainerSpec(name="db", image=HTTPD.image, command=["/bin/busybox", "sleep", "600"], memory_mb=16)
    async with Containers([shell, HTTPD], engine=engine) as places:
        async with places.fresh("a") as one, places.fresh("b") as other:
            async with httpx.AsyncClient(trust_env=False) as http:
                assert (await http.get(one.url)).text == (await http.get(other.url)).text == "hello"
            assert one.sites != other.sites
            box = ["/bin/busybox"]
            one.handle.run("db", [*box, "touch", "/tmp/seen"])
            with pytest.raises(EnvironmentBroken, match="ended with 1"):
                other.handle.run("db", [*box, "ls", "/tmp/seen"])
            with pytest.raises(EnvironmentBroken, match="Read-only file system"):
                one.handle.run("db", [*box, "touch", "/www/x"])
            with pytest.raises(EnvironmentBroken):
                one.handle.run("db", [*box, "wget", "-T", "2", "-O", "-", "http://192.0.2.1/"])
            assert "hello" in one.handle.run("db", [*box, "wget", "-q", "-O", "-", "http://web/"])
        with pytest.raises(EnvironmentBroken, match="an image is missing"):
            async with Containers([replace(HTTPD, image="no/such:1")], engine=engine) as missing, missing.fresh("c"):
                pass
        ends = replace(HTTPD, command=["/bin/busybox", "false"])
        async with Containers([ends], engine=engine) as broken:
            with pytest.raises(EnvironmentBroken, match="ended while it started"):
                async with broken.fresh("d"):
                    pass
        assert len(left(engine)) == 2  # two networks, kept for the next episodes
    assert left(engine) == []


@needs_engine
@pytest.mark.chaos
async def test_twenty_pairs_at_once(engine: str) -> None:
    shell = ContainerSpec(name="db", image=HTTPD.image, command=["/bin/busybox", "sleep", "600"], memory_mb=16)
    async with Containers([shell, HTTPD], engine=engine) as places:

        async def episode(number: int) -> None:
            async with places.fresh(f"t{number}") as place, httpx.AsyncClient(trust_env=False) as http:
                assert (await http.get(place.url)).text == "hello"

        await asyncio.gather(*(episode(number) for number in range(20)))
    assert left(engine) == []


@needs_engine
@pytest.mark.chaos
@pytest.mark.parametrize("points", [3, 35])
async def test_a_killed_owner_leaves_nothing_after_the_next_start(engine: str, points: int) -> None:
    rng = random.Random(points)
    for _ in range(points):
        command = [sys.executable, str(SERVER.with_name("process_owner.py")), "docker", engine]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        async with asyncio.timeout(120):
            assert await process.stdout.readline() == b"entered\n"
            await asyncio.sleep(rng.uniform(0, 2))
        process.kill()
        await process.communicate()
        async with asyncio.timeout(60):
            # The engine may still be carrying out the dead owner's last request.
            while left(engine):
                client = await asyncio.to_thread(connect, engine)
                await asyncio.gather(asyncio.to_thread(sweep, client), asyncio.to_thread(sweep, client))
                client.close()
    assert left(engine) == []
