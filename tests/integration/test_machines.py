"""Machines out of namespaces: apart but for the network and the shared folder, cut off when their cable is pulled, gone at the end."""

import sys

import httpx
import psutil
import pytest
from machines import KEEPER, machines, why_impossible
from real_stack import wait_until

pytestmark = pytest.mark.skipif(why_impossible() is not None, reason=f"machines: {why_impossible()}")


def answers(url: str) -> bool:
    """True if the server answers within a second."""
    try:
        return httpx.get(url, timeout=1.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_machine_is_reached_by_its_network_only_and_can_be_cut_off() -> None:
    with machines(2, {"NAME": "value"}) as (shared, (one, two)):
        (two.home / "secret").write_text("of machine 2")
        url = f"http://{two.address}:8000/"
        serve = [sys.executable, "-m", "http.server", "8000", "--bind", two.address, "--directory", shared]
        with two.kept(serve), one.network():
            wait_until("the server", lambda: answers(url))
            with two.cut_off(0.5):
                assert not answers(url)
            wait_until("the server again", lambda: answers(url))
            for process in two.processes():
                process.kill()
            wait_until("the kept server", lambda: answers(url))
        assert not answers(url), "this computer is no machine of that network"
        look = 'echo "$NAME" "$HOME" $(hostname) $(ls "$1") $(ps -e | wc -l) > "$2"'
        with one.started(["bash", "-c", look, "look", two.home, shared / "seen"]) as command:
            assert command.wait().status == 0
        name, home, host, *rest = (shared / "seen").read_text().split()
        assert (name, home, host) == ("value", str(one.home), "machine-1")
        assert len(rest) == 1 and int(rest[0]) < 10, f"it sees files or processes of others: {rest}"
        inits = [one.init, two.init, one.hub]
        base = shared.parent
    assert not base.exists()
    wait_until("the end of its processes", lambda: not any(is_alive(pid) for pid in inits))
    assert [one.pid for one in psutil.process_iter(["cmdline"]) if str(KEEPER) in (one.info["cmdline"] or [])] == []


def is_alive(pid: int) -> bool:
    """True while a process runs; a zombie, which nobody has reaped yet, does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
