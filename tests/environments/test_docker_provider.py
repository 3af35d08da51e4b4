"""Containers on a real engine, started here; its one image is made from a static busybox. Skipped where there is no dockerd."""

import asyncio
import random
import socket
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from docker_engine import left, needs_engine, page_image, running_engine
from eventually import until
from process_owner import HTTPD, SERVER

from environments.base import EnvironmentBroken
from environments.providers.docker.compose import read_compose
from environments.providers.docker.containers import ContainerSpec
from environments.providers.docker.engine import connect
from environments.providers.docker.listing import containers
from environments.providers.docker.provider import Containers
from environments.providers.docker.sweep import sweep


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of an engine with the image `rl-loop-test:busybox`."""
    with running_engine(tmp_path_factory.mktemp("docker")) as address:
        client = connect(address)
        client.api.import_image_from_data(page_image(), repository="rl-loop-test", tag="busybox")
        client.close()
        yield address


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
async def test_containers_have_the_names_of_their_episodes_and_ports_in_order(engine: str) -> None:
    counted = replace(HTTPD, first_port=3_001)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 3_002))
        other.listen()
        async with Containers([counted], engine=engine) as places:
            async with places.fresh("a") as one, places.fresh("b") as two, places.fresh("a") as same:
                assert [place.sites for place in (one, two, same)] == [
                    (f"127.0.0.1:{port}",) for port in (3_001, 3_003, 3_004)
                ]
                lines = {line.name: line for line in containers(engine)}
                assert {"rollout-web-a", "rollout-web-b"} < set(lines) and len(lines) == 3
                assert lines["rollout-web-b"].episode == "b" and lines["rollout-web-b"].ports == (3_003,)
            async with places.fresh("x" * 200) as long:
                assert long.sites == ("127.0.0.1:3001",)
    async with Containers([counted], engine=engine, spares=1, least_free_mb=0) as places:
        await until(lambda: [line.state for line in containers(engine)] == ["running"], "a spare")
        [spare] = containers(engine)
        assert spare.name.startswith("rollout-web-spare-") and spare.episode == ""
        async with places.fresh("c"):
            assert "rollout-web-c" in {line.name for line in containers(engine)}
    assert left(engine) == []


@needs_engine
async def test_a_cancelled_start_does_not_wait_for_its_deadline(engine: str) -> None:
    never = replace(HTTPD, health="", ready=["/bin/busybox", "false"], start_deadline_s=600)
    async with Containers([never], engine=engine) as places:
        starting = [asyncio.create_task(places.fresh(f"n{number}").__aenter__()) for number in range(12)]
        await asyncio.sleep(2)
        async with asyncio.timeout(20):
            for one in starting:
                one.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
        await until(lambda: not any(name.startswith("rollout-") for name in left(engine)), "the removal")
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
@pytest.mark.parametrize("points", [3, pytest.param(35, marks=pytest.mark.chaos)])
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
