"""How the tiers start and stop: drain on SIGTERM, children kept running with growing pauses, keys that nobody can guess."""

import asyncio
import errno
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from real_service import free_port
from real_tiers import SMALL, cli, wait_until
from typer.testing import CliRunner

from browser_service.cli import app
from browser_service.events import Events
from browser_service.leasing.leases import InstanceReport, QueueLimits
from browser_service.leasing.store_in_process import InProcessStore
from browser_service.leasing.tokens import LeaseLocation, TierKey, shared_key
from browser_service.servers import deploy, supervise
from browser_service.servers import node as node_module
from browser_service.servers.deploy import instances_for, shares
from browser_service.servers.nginx import Front, configuration
from browser_service.servers.node import Node
from browser_service.servers.supervise import Program, Supervisor
from browser_service.settings import Settings
from browser_service.tiers.instances import remote_instances, tier_client
from browser_service.tiers.overview import Overview


@contextmanager
def started(folder: Path, *arguments: str, **environment: str) -> Generator["subprocess.Popen[str]", None, None]:
    """A command of the service as a process; what is left of it at the end is killed."""
    settings = {"BROWSER_SERVICE_STATE_DIR": str(folder), "BROWSER_SERVICE_WARM": "1", **environment}
    command = [*cli(*arguments), "--log-level", "warning"]
    process = subprocess.Popen(command, env={**os.environ, **settings}, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=20).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.browser
def test_a_node_alone_gives_out_its_slots_and_on_sigterm_lets_leases_end(short_folder: Path) -> None:
    port, instance_port = free_port(), free_port()
    arguments = ("node", "--port", str(port), "--slots", "1", "--instances", "1", "--instance-port", str(instance_port))
    with started(short_folder, *arguments, BROWSER_SERVICE_DRAIN_DEADLINE_S="60") as process:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_ready(url), 90)
        lease = httpx.post(f"{url}/get", json={"viewport": SMALL}).raise_for_status().json()
        assert lease["node"] == url and lease["direct_url"] == f"http://127.0.0.1:{instance_port}"
        key = shared_key(short_folder)
        status = httpx.get(f"{lease['direct_url']}/tier/status", headers={"x-tier-key": key.value})
        assert len(status.json()["sessions"]) == 1
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        wait_until(lambda: not is_ready(url), 20)
        refused = httpx.post(f"{url}/get", json={"wait_s": 1})
        assert refused.status_code == 503 and refused.json()["code"] == "DRAINING"
        mine = {"instance_id": lease["instance_id"], "token": lease["token"]}
        step = {"step_id": 0, "action": {"kind": "observe"}, "observe": {"screenshot": False}}
        httpx.post(f"{url}/step", json={**mine, **step}, timeout=60).raise_for_status()
        httpx.post(f"{url}/release", json=mine).raise_for_status()
        process.communicate(timeout=120)
        assert process.returncode == 0
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
    assert [left.name for left in short_folder.iterdir()] == ["tier-key"]


EXPOSED = {"BROWSER_SERVICE_API_KEY": "k", "BROWSER_SERVICE_TIER_KEY": "t" * 32}
BEHIND = {"BROWSER_SERVICE_NODE_URL": "http://10.0.0.7:8080"}


@pytest.mark.parametrize(
    ("arguments", "environment", "word"),
    [
        (["master", "--host", "0.0.0.0"], {}, "BROWSER_SERVICE_API_KEY"),
        (["master", "--host", "0.0.0.0"], {"BROWSER_SERVICE_API_KEY": "k"}, "BROWSER_SERVICE_TIER_KEY"),
        (["node", "--host", "0.0.0.0"], {"BROWSER_SERVICE_API_KEY": "k"}, "BROWSER_SERVICE_TIER_KEY"),
        (["master", "--host", "0.0.0.0"], EXPOSED, "BROWSER_SERVICE_ADVERTISE_HOST"),
        (["node", "--host", "::"], EXPOSED, "BROWSER_SERVICE_ADVERTISE_HOST"),
        (["node", "--host", "10.0.0.7", "--advertise-host", "0.0.0.0"], EXPOSED, "BROWSER_SERVICE_ADVERTISE_HOST"),
        (["up", "--instances", "2", "--host", "0.0.0.0"], EXPOSED, "BROWSER_SERVICE_ADVERTISE_HOST"),
        (["instance", "--host", "0.0.0.0"], {**EXPOSED, **BEHIND}, "BROWSER_SERVICE_ADVERTISE_HOST"),
        (["deploy", "--host", "0.0.0.0"], EXPOSED, "BROWSER_SERVICE_ADVERTISE_HOST"),
        (["nginx", "--server-name", "a;b", "--certificate", "c", "--certificate-key", "k"], {}, "one word"),
        (["master"], {"BROWSER_SERVICE_TIER_KEY": "guess"}, "too short"),
        (["deploy", "--nodes", "3", "--slots", "2"], {}, "at least one"),
        (["up", "--instances", "3", "--slots", "2"], {}, "at least one"),
        (["master", "--redis", "http://somewhere"], {}, "BROWSER_SERVICE_REDIS_URL"),
        (["drain"], {}, "no answer"),
    ],
)
def test_what_can_not_start_is_one_sentence(
    arguments: list[str], environment: dict[str, str], word: str, tmp_path: Path
) -> None:
    settings = {"BROWSER_SERVICE_STATE_DIR": str(tmp_path), "BROWSER_SERVICE_PORT": str(free_port()), **environment}
    ended = CliRunner().invoke(app, arguments, env=settings)
    assert ended.exit_code == 1 and word in ended.stderr and len(ended.stderr.splitlines()) == 1


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - the supervisor tells nobody
            await asyncio.sleep(0.01)


async def test_a_child_is_started_again_with_pauses_that_grow_and_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(supervise, "_start", lambda program: asyncio.create_subprocess_exec("false"))
    ended = list[Program]()
    async with Supervisor([Program("failing", [], {})], on_exit=ended.append) as supervisor:
        (child,) = supervisor.children
        child.pause_s = 0.01
        await until(lambda: len(ended) >= 4)
        assert child.pause_s >= 0.08, "pauses grow"
        monkeypatch.setattr(supervise, "STABLE_S", 0.0)
        seen = len(ended)
        await until(lambda: len(ended) >= seen + 2)
        assert child.pause_s <= 0.02, "after a stable time they begin anew"
    assert child.pid is None


async def test_a_machine_that_has_no_process_to_spare_only_delays_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = list[Program]()

    async def start(program: Program) -> asyncio.subprocess.Process:
        tries.append(program)
        if len(tries) < 3:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return await asyncio.create_subprocess_exec("sleep", "60")

    monkeypatch.setattr(supervise, "_start", start)
    async with Supervisor([Program("late", [], {})]) as supervisor:
        (child,) = supervisor.children
        await until(lambda: child.pid is not None)
    assert len(tries) == 3 and child.starts == 1


async def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"

    async def start(_: Program) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", deaf, stdout=asyncio.subprocess.PIPE)
        assert process.stdout
        await process.stdout.readline()
        return process

    monkeypatch.setattr(supervise, "_start", start)
    async with Supervisor([Program("deaf", [], {})], stop_deadline_s=0.3) as supervisor:
        (child,) = supervisor.children
        await until(lambda: child.pid is not None)
    assert child.process and child.process.returncode == -signal.SIGKILL


async def test_an_instance_that_says_nothing_is_killed_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "SILENCE_S", 0.3)
    monkeypatch.setattr(node_module, "GLANCE_S", 0.05)
    monkeypatch.setattr(supervise, "_start", lambda program: asyncio.create_subprocess_exec("sleep", "60"))
    instance, settings, key = "http://127.0.0.1:9000", Settings(), TierKey.random()
    store = InProcessStore(time.monotonic, key.sign, QueueLimits())
    async with (
        tier_client(key.value) as http,
        Overview(settings, store, remote_instances(settings, http), Events()) as seen,
    ):
        node = Node(settings, {instance: 2}, seen)
        async with Supervisor([Program(instance, [], {})], on_exit=node.ended) as supervisor:
            (child,) = supervisor.children
            await until(lambda: child.pid is not None)
            first = child.pid
            await node.learn([InstanceReport(instance=instance, node=settings.url, capacity=2)])
            assert (await seen.status()).nodes[0].capacity == 2
            watching = asyncio.create_task(node.kill_the_hung(supervisor))
            await until(lambda: child.pid not in (None, first))
            assert not any(node.healthy for node in (await seen.status()).nodes)
            watching.cancel()
        await node.stop()


ANY = st.characters(exclude_categories=())
"""Halves of characters too, which JSON can carry."""


@hypothesis_settings(max_examples=30, deadline=None)
@given(
    lease_id=st.text(ANY, max_size=40),
    instance=st.text(max_size=60),
    slot=st.integers(0, 10_000),
    generation=st.integers(0, 1 << 60),
    change=st.integers(0, 10_000),
)
def test_a_token_says_where_its_lease_is_and_can_not_be_changed(
    lease_id: str, instance: str, slot: int, generation: int, change: int
) -> None:
    key, where = TierKey("k" * 32), LeaseLocation(instance, slot, generation)
    token = key.sign(lease_id, where)
    assert key.read(lease_id, token) == where
    assert key.read(lease_id + "x", token) is None
    assert TierKey("j" * 32).read(lease_id, token) is None
    position = change % len(token)
    changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
    assert key.read(lease_id, changed) in (None, where), "at most another way to write the same"


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.text(ANY, max_size=1_200) | st.text(ANY, max_size=80).map("aHR0cDo.1.1.{}".format))
@example("aHR0cDo.1.1.\ud800")
def test_no_text_is_taken_for_a_token(text: str) -> None:
    assert TierKey.random().read("lease", text) is None
    assert TierKey.random().read(text, "aHR0cDo.1.1.mac") is None


def test_the_shared_key_is_one_and_only_ours_to_read(tmp_path: Path) -> None:
    first, second = shared_key(tmp_path / "state"), shared_key(tmp_path / "state")
    assert first.value == second.value and len(first.value) >= 32
    path = tmp_path / "state" / "tier-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["tier-key"]
    path.chmod(0o644)
    with pytest.raises(OSError, match="can be read by others"):
        shared_key(tmp_path / "state")


def test_every_part_gets_the_blocked_hosts_and_its_address() -> None:
    settings = Settings.model_validate(
        {
            "host": "0.0.0.0",
            "api_key": "k",
            "advertise_host": "farm.test",
            "control_ports": "5000",
            "redis_url": "redis://localhost:6380",
        }
    )
    whole = deploy.programs(settings, [2, 1], instances=2, node_port=8080, instance_port=9000, log_level="info")
    parts = "5000,6380,7000,8080,8081,9000,9001,9100"
    assert {program.environment["BROWSER_SERVICE_CONTROL_PORTS"] for program in whole} == {parts}
    by_line = {"port": 8080, "master_url": "http://a.test:7000,http://b.test:7001", "chromium": Path("/opt/chromium")}
    alone = settings.model_copy(update={**by_line, "redis_url": None})
    for program in node_module.programs(alone, {9000: 2, 9001: 1}, "t" * 32, "info"):
        reported = program.environment
        assert reported["BROWSER_SERVICE_CONTROL_PORTS"] == "5000,7000,7001,8080,9000,9001"
        assert reported["BROWSER_SERVICE_ADVERTISE_HOST"] == "farm.test"
        assert reported["BROWSER_SERVICE_CHROMIUM"] == "/opt/chromium"
        assert program.name == f"http://farm.test:{reported['BROWSER_SERVICE_PORT']}"


def test_slots_are_spread_evenly() -> None:
    assert shares(16, 2) == [8, 8] and shares(5, 3) == [2, 2, 1]
    assert [instances_for(slots) for slots in (1, 2, 8, 17)] == [1, 2, 2, 3]
    with pytest.raises(ValueError, match="at least one"):
        shares(2, 3)


def test_the_nginx_configuration_is_filled_and_takes_no_second_word() -> None:
    front = Front(
        server_name="pool.example",
        certificate=Path("/etc/c.pem"),
        certificate_key=Path("/etc/k.pem"),
        requests_per_second=50,
    )
    text = configuration(front, ["10.0.0.1:7000", "10.0.0.2:7000"])
    assert "server 10.0.0.2:7000" in text and "rate=50r/s" in text and "$binary_remote_addr" in text
    assert "%" not in text and text.count("{") == text.count("}")
    (line,) = [line for line in text.splitlines() if line.startswith("log_format")]
    assert "$uri" in line and not re.search(r"\$(request|request_uri|args|query_string)\b", line), "queries have tokens"
    assert f"access_log /var/log/nginx/browser_service.log {line.split()[1]};" in text
    with pytest.raises(ValueError, match="one word"):
        configuration(replace(front, server_name="a; include /etc/passwd"), ["x:1"])
