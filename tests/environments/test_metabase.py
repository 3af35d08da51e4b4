"""Metabase's pairs of containers on a real engine, with images of this machine in place of those that must be pulled."""

import asyncio
import json
import random
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import docker
import httpx
import pytest
from docker_engine import left, needs_engine
from docker_images import APPLICATION_IMAGE, POSTGRES_IMAGE, engine_with_images
from ended_trajectory import ended
from process_owner import SERVER
from pydantic import ValidationError
from reports_dump import BASIC, EMAIL, PASSWORD, PRO, REPORTS

from agent.failures import EpisodeFailure
from agent.types import Reach, Site, Split, Task
from environments.applications.metabase.config import MetabaseConfig
from environments.applications.metabase.environment import Metabase, start_of
from environments.applications.metabase.pairs import check_ready
from environments.base import EnvironmentBroken
from environments.bounds import Bounds
from environments.catalogs import Draw
from environments.config import EnvironmentConfig
from environments.drawing import draw_tasks
from environments.history import TaskHistory
from environments.providers.docker.dumps import REPOSITORY
from environments.providers.docker.listing import containers
from environments.providers.docker.ports import Ports
from environments.providers.postgres.cluster import PORT, Cluster
from environments.providers.postgres.programs import identity, program
from environments.registry import make_environment
from judging.verifiers.answer_judge import AnswerJudge

TASK = Task(id="p1", environment="metabase", goal="How many?", reference_answer='{"sold": 200}')
LOGIN = {"username": EMAIL, "password_env": "REPORTS_PASSWORD"}
SECTION = {"image": APPLICATION_IMAGE, "postgres_image": POSTGRES_IMAGE, "memory_mb": 128, "postgres_memory_mb": 128}
FILES = {"train": "tasks.json", "heldout": "tasks.json"}


def message_of(error: pytest.ExceptionInfo[ValidationError]) -> str:
    return error.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"tasks": FILES}, "metabase has images and a dump"),
        ({"metabase": SECTION}, "metabase plays the tasks of files"),
        ({"tasks": FILES | {"private_sites": ["127.0.0.1:1"]}, "metabase": SECTION}, "on its own containers"),
        ({"tasks": FILES, "metabase": SECTION | {"first_port": 70_000}}, "less than or equal to 65535"),
        ({"tasks": FILES, "metabase": {"postgres_image": "postgres:16"}}, "Field required"),
    ],
)
def test_a_wrong_section_is_refused_in_one_sentence(section: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as error:
        EnvironmentConfig.model_validate({"name": "metabase", **section})
    assert sentence in message_of(error)


def test_the_section_names_files_beside_the_configuration(tmp_path: Path) -> None:
    section = {"name": "metabase", "tasks": FILES, "metabase": SECTION | {"dump": "app.dump"}}
    config = EnvironmentConfig.model_validate(section).below(tmp_path)
    assert config.metabase is not None and config.metabase.dump == tmp_path / "app.dump"
    assert config.tasks is not None and config.tasks.train == str(tmp_path / "tasks.json")
    environment = make_environment(config)
    assert (environment.name, environment.judges, environment.viewport.width) == ("metabase", False, 1_440)


def test_the_rows_of_tasks_json_are_its_tasks(tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text(json.dumps([BASIC, PRO]))
    section = {"name": "metabase", "tasks": FILES, "metabase": SECTION}
    config = EnvironmentConfig.model_validate(section).below(tmp_path)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for split in get_args(Split):
        tasks = draw_tasks(config, Draw(split, 0, 0), 2, history=TaskHistory(), now=now)
        assert {task.id: task.reference_answer for task in tasks} == {"basic": BASIC["answer"], "pro": PRO["answer"]}
        assert {task.environment for task in tasks} == {"metabase"}


def test_only_the_path_of_a_tasks_address_counts() -> None:
    task = TASK.model_copy(update={"start_url": "https://elsewhere.test/question/7?tab=2#filter"})
    assert start_of(task, "http://127.0.0.1:3001/") == "http://127.0.0.1:3001/question/7?tab=2#filter"
    assert start_of(TASK, "http://127.0.0.1:3001/") == "http://127.0.0.1:3001/"


async def test_what_lacks_before_any_container_is_one_sentence(tmp_path: Path) -> None:
    dump = tmp_path / "app.dump"
    dump.write_text(REPORTS)
    nowhere = "unix:///no/such/docker.sock"
    for section, environment, sentence in (
        ({}, {}, "metabase has no dump"),
        ({"dump": tmp_path / "none"}, {}, "there is no file"),
        ({"dump": dump, "login": LOGIN}, {}, "set REPORTS_PASSWORD to the password"),
        ({"dump": dump}, {}, "the Docker engine does not answer"),
    ):
        config = MetabaseConfig.model_validate(SECTION | section)
        with pytest.raises(EnvironmentBroken, match=sentence):
            await Metabase(config, engine=nowhere, environment=environment).__aenter__()
        if not config.login:
            with pytest.raises(EnvironmentBroken, match=sentence):
                check_ready(config, engine=nowhere)


async def test_the_tasks_answer_decides() -> None:
    environment = Metabase(MetabaseConfig.model_validate(SECTION))
    assert (await environment.check(ended(TASK, '{"sold": 200}'), {})).reward is None
    judge = AnswerJudge()
    assert (await judge.judge(ended(TASK, '{"sold": 200}'))).reward == 1.0
    assert (await judge.judge(ended(TASK, '{"sold": 100}'))).reward == 0.0


def test_ports_are_counted_from_the_first_and_given_again() -> None:
    ports = Ports()
    first = ports.take(23_001)
    with ExitStack() as stack:
        held = stack.enter_context(socket.socket())
        held.bind(("127.0.0.1", first + 1))
        held.listen()
        assert ports.take(first, refused={first + 2}) == first + 3
    ports.give_back(first)
    assert ports.take(first) == first
    top = Ports()
    with pytest.raises(EnvironmentBroken, match="all ports from 65535 to 65535 are taken"):
        [top.take(65_535) for _ in range(2)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of an engine with the images of a Postgres and of an application."""
    with engine_with_images(tmp_path_factory.mktemp("docker")) as address:
        yield address


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports as SQL."""
    file = tmp_path_factory.mktemp("dump") / "reports.sql"
    file.write_text(REPORTS)
    return file


def metabase(engine: str, dump: Path, **more: Any) -> Metabase:
    section = SECTION | {"dump": dump, "login": LOGIN, "cpus": 0.5} | more
    return Metabase(
        MetabaseConfig.model_validate(section),
        bounds=Bounds(blocked_hosts=("ads.test",), isolation="browser"),
        engine=engine,
        environment={"REPORTS_PASSWORD": PASSWORD},
    )


def visitor(site: Site) -> httpx.AsyncClient:
    """A browser's stand-in, with the episode's cookies."""
    assert site.login is not None
    cookies = {cookie.name: cookie.value for cookie in site.login.cookies}
    return httpx.AsyncClient(trust_env=False, base_url=site.start_url, cookies=cookies, follow_redirects=True)


def images_of(engine: str) -> set[str]:
    client = docker.DockerClient(base_url=engine)
    found = {str(image.id) for image in client.images.list(REPOSITORY)}
    client.close()
    return found


@needs_engine
@pytest.mark.chaos
async def test_four_episodes_have_a_pair_each_and_the_next_is_fresh(engine: str, dump: Path) -> None:
    async with metabase(engine, dump) as environment, AsyncExitStack() as stack:
        serving = [environment.serve(TASK, trajectory_id=f"r{number}") for number in range(4)]
        sites = await asyncio.gather(*(stack.enter_async_context(one) for one in serving))
        lines = {line.name: line for line in containers(engine)}
        assert set(lines) == {f"rollout-{role}-r{number}" for role in ("pg", "mb") for number in range(4)}
        ports = sorted(port for line in lines.values() for port in line.ports)
        assert len(ports) == 4 and ports[0] >= 3_001 and ports[-1] < 3_100
        for number, site in enumerate(sites):
            own = (site.start_url.split("/")[2],)
            assert site.reach == Reach(sites=own, only_sites=True, blocked_hosts=("ads.test",), isolation="browser")
            async with visitor(site) as http:
                assert "Sold: 200" in (await http.get("/report?plan=Basic")).text
                assert f"note {number}" in (await http.post("/note", data={"text": f"note {number}"})).text
        for number, site in enumerate(sites):
            async with visitor(site) as http:
                page = (await http.get("/")).text
                assert EMAIL in page and page.count("note ") == 1 and f"note {number}" in page
            assert await site.final_state() == {}
        check_limits(engine)
        await stack.aclose()
        async with environment.serve(TASK, trajectory_id="next") as site, visitor(site) as http:
            assert "note " not in (await http.get("/")).text
    assert left(engine) == []


def check_limits(engine: str) -> None:
    """Every container is limited, belongs to an owner, and reaches nothing outside."""
    client = docker.DockerClient(base_url=engine)
    for container in client.containers.list():
        settings = (container.attrs or {})["HostConfig"]
        assert settings["Memory"] == settings["MemorySwap"] == 128 << 20 and settings["PidsLimit"] == 512
        assert settings["NanoCpus"] == (5e8 if container.name.startswith("rollout-mb-") else 1e9)
        assert not settings["PortBindings"] or container.name.startswith("rollout-mb-")
    client.close()
    name = next(line.name for line in containers(engine) if "-mb-" in line.name)
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"
    command = ["docker", "-H", engine, "exec", name, str(Path(sys.executable).resolve()), "-c", code]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "TimeoutError" in tried.stderr or "unreachable" in tried.stderr, tried.stderr


@needs_engine
@pytest.mark.chaos
async def test_a_dump_is_restored_once_also_an_archive(engine: str, tmp_path: Path) -> None:
    before = images_of(engine)
    archive = await archive_of(tmp_path)
    many = [metabase(engine, archive, database="archived") for _ in range(3)]
    async with AsyncExitStack() as stack:
        environments = await asyncio.gather(*(stack.enter_async_context(one) for one in many))
        async with environments[2].serve(TASK, trajectory_id="a") as site, visitor(site) as http:
            assert "Sold: 100" in (await http.get("/report?plan=Pro")).text
    assert len(images_of(engine) - before) == 1
    assert left(engine) == []


async def archive_of(folder: Path) -> Path:
    """The reports as a custom-format archive."""
    async with Cluster() as cluster:
        async with cluster.connected("postgres") as connection:
            await connection.execute(REPORTS)
        command = [program("pg_dump"), "-h", str(cluster.folder), "-p", str(PORT), "-U", "postgres", "-Fc", "postgres"]
        file = folder / "reports.dump"
        with file.open("wb") as written:
            await asyncio.to_thread(subprocess.run, command, stdout=written, check=True, cwd="/", **identity())
    return file


@needs_engine
@pytest.mark.chaos
@pytest.mark.parametrize(
    ("content", "section", "sentence"),
    [
        (None, {"image": "no/such:1"}, "the image no/such:1 is missing on this machine; `docker pull no/such:1`"),
        (None, {"postgres_image": "no/such:2"}, "the image no/such:2 is missing"),
        ("create table x (id int); select wrong;", {}, 'can\'t be restored .* column "wrong" does not exist'),
        ("PGDMP and nothing else", {}, "can't be restored .* pg_restore"),
        ("select 1;", {}, "has no tables for the database 'metabase'; make it without --create"),
    ],
)
async def test_a_pair_that_can_not_be_prepared_is_one_sentence(
    engine: str, dump: Path, tmp_path: Path, content: str | None, section: dict[str, Any], sentence: str
) -> None:
    if content is not None:
        dump = tmp_path / "wrong.sql"
        dump.write_text(content)
    before = images_of(engine)
    with pytest.raises(EnvironmentBroken, match=sentence):
        await metabase(engine, dump, **section).__aenter__()
    assert left(engine) == [] and images_of(engine) == before


@needs_engine
@pytest.mark.chaos
@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"variables": {"MB_DB_PASS": "wrong"}, "start_deadline_s": 4}, "was not healthy within 4 s"),
        ({"variables": {"MB_JETTY_PORT": "no port"}}, "ended while it started: .*ValueError"),
        ({"login": LOGIN | {"username": "bob@example.com"}}, "log-in of bob@example.com was refused"),
        ({"first_port": 65_535}, "all ports from 65535 to 65535 are taken"),
    ],
)
async def test_a_pair_that_can_not_be_served_is_an_infrastructure_failure(
    engine: str, dump: Path, section: dict[str, Any], sentence: str
) -> None:
    with ExitStack() as stack:
        if "first_port" in section:
            taken = stack.enter_context(socket.socket())
            taken.bind(("127.0.0.1", 65_535))
            taken.listen()
        async with metabase(engine, dump, **section) as environment:
            with pytest.raises(EpisodeFailure, match=sentence) as broken:
                async with environment.serve(TASK, trajectory_id="x"):
                    pass
            assert broken.value.failure.side == "infra" and broken.value.failure.retryable
            assert not any(name.startswith("rollout-") for name in left(engine))
    assert left(engine) == []


@needs_engine
@pytest.mark.chaos
@pytest.mark.parametrize("role", ["pg", "mb"])
async def test_a_container_that_dies_in_an_episode_is_an_infrastructure_failure(
    engine: str, dump: Path, role: str
) -> None:
    async with metabase(engine, dump) as environment:
        async with environment.serve(TASK, trajectory_id="dying") as site:
            client = docker.DockerClient(base_url=engine)
            client.containers.get(f"rollout-{role}-dying").kill()
            client.close()
            with pytest.raises(EpisodeFailure, match=rf"the container {role} has died \(exited\)") as broken:
                await site.final_state()
            assert broken.value.failure.side == "infra"
        async with environment.serve(TASK, trajectory_id="dying") as site:
            assert await site.final_state() == {}
    assert left(engine) == []


@needs_engine
@pytest.mark.chaos
async def test_twenty_pairs_at_once(engine: str, dump: Path) -> None:
    loop = asyncio.get_running_loop()
    async with metabase(engine, dump, cpus=1.0) as environment, AsyncExitStack() as stack:
        began = loop.time()
        serving = [environment.serve(TASK, trajectory_id=f"t{number}") for number in range(20)]
        sites = await asyncio.gather(*(stack.enter_async_context(one) for one in serving))
        served = loop.time() - began
        assert len({site.start_url for site in sites}) == 20 and len(containers(engine)) == 40
        for site in sites:
            assert await site.final_state() == {}
        memory = {role: memory_mb(engine, f"rollout-{role}-t7") for role in ("pg", "mb")}
        began = loop.time()
        await stack.aclose()
        removed = loop.time() - began
    assert left(engine) == []
    sys.stdout.write(f"20 pairs: served in {served:.1f} s, removed in {removed:.1f} s, MB of one: {memory}\n")


def memory_mb(engine: str, name: str) -> int:
    """Memory of a container, its files in memory included."""
    client = docker.DockerClient(base_url=engine)
    found = client.containers.get(name).stats(stream=False)["memory_stats"]["usage"]
    client.close()
    return int(found) >> 20


@needs_engine
@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(7))
async def test_an_owner_killed_anywhere_leaves_nothing_after_the_next_start(engine: str, dump: Path, seed: int) -> None:
    """Kills owners at 35 points in time, five with each seed."""
    rng = random.Random(seed)
    for number in range(5):
        # Another name every third time: the owner is killed while it restores, too.
        section = SECTION | {"dump": str(dump), "database": f"again{seed}x{number // 3}"}
        command = [sys.executable, str(SERVER.with_name("process_owner.py")), "metabase", engine, json.dumps(section)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        async with asyncio.timeout(120):
            assert await process.stdout.readline() == b"begun\n"
            await asyncio.sleep(rng.uniform(0, 8))
        process.kill()
        await process.communicate()
        async with metabase(engine, dump) as environment:
            async with environment.serve(TASK, trajectory_id="after") as site:
                assert await site.final_state() == {}
            names = left(engine)
        assert all(name.startswith("rl-loop-") for name in names), names  # its own network, for the next episode
        assert left(engine) == []
