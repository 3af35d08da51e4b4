"""The supervisor with real child processes: restarted when killed, no orphans, no other process touched."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from flows.services.processes import MARKER, group_members, marked, stop
from flows.services.service_files import ServiceSpec, SupervisorSpec, SupervisorStatus, read_status, spec_file
from flows.services.services import shut_down, wait_ready
from storage.errors import ServicesError
from storage.process_id import ProcessId, process_id

SERVER = textwrap.dedent(
    """
    import http.server, subprocess, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers()
        def log_message(self, *arguments): pass
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # an engine that outlives its server
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
    """
)
DEADLINE_S = 30.0

Start = Callable[[list[ServiceSpec]], subprocess.Popen[bytes]]


@pytest.fixture
def state_dir(tmp_path: Path) -> Generator[Path]:
    """A state directory; whatever carries its mark is killed in the end."""
    yield tmp_path
    stop(marked(tmp_path), term_s=0)


@pytest.fixture
def start(state_dir: Path) -> Generator[Start]:
    """Starts a supervisor as `rl-loop up` does."""
    started: list[subprocess.Popen[bytes]] = []

    def run(services: list[ServiceSpec]) -> subprocess.Popen[bytes]:
        spec_file(state_dir).write_text(SupervisorSpec(working_dir=str(state_dir), services=services).model_dump_json())
        command = [sys.executable, "-m", "flows.services.supervisor", str(state_dir)]
        started.append(subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL))
        return started[-1]

    yield run
    for supervisor in started:
        supervisor.kill()
        supervisor.wait()


def server(name: str, port: int, **options: object) -> ServiceSpec:
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", SERVER, str(port)]
    return ServiceSpec.model_validate(
        {"name": name, "command": command, "address": address, "health_url": address, **options}
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what: str, question: Callable[[], object]) -> None:
    """Ask until the answer is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not question():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_S:.0f} s"
        time.sleep(0.05)


def leader(status: SupervisorStatus, name: str) -> ProcessId:
    process = status.service(name).process
    assert process is not None
    return process


def test_services_become_ready_in_their_order(start: Start, state_dir: Path) -> None:
    start([server("second", free_port(), after=["first"]), server("first", free_port())])

    status = wait_ready(state_dir, (), deadline_s=DEADLINE_S)

    assert all(service.state == "ready" and service.ready_after_s is not None for service in status.services)
    assert leader(status, "first").started <= leader(status, "second").started


def test_a_killed_service_is_started_again_without_its_orphans(start: Start, state_dir: Path) -> None:
    start([server("victim", free_port()), server("bystander", free_port())])
    before = wait_ready(state_dir, (), deadline_s=DEADLINE_S)
    victim = leader(before, "victim")
    family = [process_id(pid) for pid in group_members(victim.pid)]
    assert len(family) == 2

    os.kill(victim.pid, signal.SIGKILL)
    wait_for("the restart", lambda: (status := read_status(state_dir)) and status.service("victim").restarts == 1)
    after = wait_ready(state_dir, (), deadline_s=DEADLINE_S)

    assert leader(after, "victim") != victim
    assert not any(member.is_alive() for member in family if member)
    assert after.service("victim").message == "ended with status -9"
    assert leader(after, "bystander") == leader(before, "bystander")


def test_down_stops_exactly_its_own(start: Start, state_dir: Path) -> None:
    supervisor = start([server("one", free_port()), server("two", free_port())])
    wait_ready(state_dir, (), deadline_s=DEADLINE_S)
    environment = os.environ | {MARKER: f"{state_dir}-of-somebody-else"}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment) as stranger:
        assert len(marked(state_dir)) == 4

        assert shut_down(state_dir) == ["one", "two"]

        assert supervisor.wait(timeout=DEADLINE_S) == 0
        assert marked(state_dir) == []
        assert stranger.poll() is None
        stranger.kill()
    assert shut_down(state_dir) == []


def test_a_killed_supervisor_takes_its_services_along_and_down_finds_the_rest(start: Start, state_dir: Path) -> None:
    supervisor = start([server("one", free_port())])
    one = leader(wait_ready(state_dir, (), deadline_s=DEADLINE_S), "one")

    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    wait_for("the death of the service", lambda: not one.is_alive())
    orphans = marked(state_dir)
    stopped = shut_down(state_dir)

    assert stopped == [f"process {orphan.pid}" for orphan in orphans] and len(orphans) == 1
    assert marked(state_dir) == []


def test_a_reused_pid_is_never_taken_for_a_service(start: Start, state_dir: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        real = process_id(stranger.pid)
        assert real is not None
        earlier = real.model_copy(update={"started": real.started - 1})

        assert stop([earlier], term_s=0) == []

        assert stranger.poll() is None
        stranger.kill()
    assert process_id(stranger.pid) is None


def test_a_second_supervisor_for_the_same_directory_ends_at_once(start: Start, state_dir: Path) -> None:
    services = [server("one", free_port())]
    start(services)
    wait_ready(state_dir, (), deadline_s=DEADLINE_S)

    assert start(services).wait(timeout=DEADLINE_S) == 1


def test_a_service_that_cannot_start_is_named_with_the_end_of_its_log(start: Start, state_dir: Path) -> None:
    broken = [sys.executable, "-c", "raise SystemExit('no such model')"]
    start([ServiceSpec(name="vllm", command=broken, address="x", health_url="http://127.0.0.1:9/")])

    with pytest.raises(ServicesError, match=r"vllm did not start \(ended with status 1\); its log ends: no such model"):
        wait_ready(state_dir, (), deadline_s=DEADLINE_S)


def test_a_service_that_is_never_ready_is_killed_and_tried_again(start: Start, state_dir: Path) -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(600)"]
    start([ServiceSpec(name="mlflow", command=silent, address="x", health_url="http://127.0.0.1:9/", ready_s=0.5)])

    wait_for("the restart", lambda: (status := read_status(state_dir)) and status.service("mlflow").restarts >= 1)

    status = read_status(state_dir)
    assert status and status.service("mlflow").message == "was not ready within 0 s"


async def test_tethered_children_die_with_their_parent(state_dir: Path) -> None:
    parent = textwrap.dedent(
        """
        import subprocess, sys, time
        from flows.services.processes import tethered
        child = subprocess.Popen(tethered([sys.executable, "-c", "import time; time.sleep(600)"]))
        time.sleep(0.5)
        print(child.pid, flush=True)
        time.sleep(600)
        """
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    child = process_id(int(await process.stdout.readline()))
    assert child is not None and child.is_alive()

    process.kill()
    await process.wait()

    await asyncio.to_thread(wait_for, "the death of the child", lambda: not child.is_alive())
