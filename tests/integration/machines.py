"""Machines made of Linux namespaces: each has its own network, processes, host name and home; a bridge joins them.

    hub       a network namespace with the bridge; its end of each cable is a veth `cable-N`
    machine N the address 10.77.0.N, a PID namespace whose first process ends everything in it, tmpfs over the others' homes

Shared are the disk with the code and one folder, as machines share a file system. A machine is cut off by pulling its cable.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from real_stack import Running, wait_until

from flows.services.processes import tethered
from flows.settings.checkout import PROJECT

TOOLS = ("ip", "unshare", "nsenter")
CLONE_NEWNET = 0x40000000
KEEPER = Path(__file__).with_name("keeper.py")
STEP_S = 30.0
"""Seconds that making a namespace or an interface may take."""
INIT = """
hostname "$1"; ip link set lo up; shift
for hidden in "$@"; do mount -t tmpfs none "$hidden"; done
while :; do sleep 3600 & wait $!; done
"""
"""First process of a machine, which also collects its orphans; `$2`.. are the folders that it can't see."""


def why_impossible() -> str | None:
    """The reason why this computer cannot make machines; None if it can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)} on the PATH (packages iproute2 and util-linux)"
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, timeout=STEP_S)
    if tried.returncode != 0:
        return "needs the right to make network and mount namespaces, which root has outside of most containers"
    return None


@dataclass(frozen=True)
class Machine:
    """One machine. Example: `Machine(number=2, home=Path("/tmp/m/2"), init=4711, hub=4700, environment={})`."""

    number: int
    home: Path
    init: int
    """Pid of its first process, as this process sees it."""
    hub: int
    environment: Mapping[str, str]
    """Environment variables of everything that runs there."""

    @property
    def address(self) -> str:
        """Its address in the network of the machines."""
        return address_of(self.number)

    def cut(self) -> None:
        """Pulls the cable: packets are lost in both directions, and nobody is told."""
        in_hub(self.hub, "link", "set", f"cable-{self.number}", "down")

    def mend(self) -> None:
        """Plugs the cable in again."""
        in_hub(self.hub, "link", "set", f"cable-{self.number}", "up")

    @contextmanager
    def cut_off(self, seconds: float) -> Generator[None]:
        """Cut off for so many seconds, at the least; the block runs meanwhile."""
        began = time.monotonic()
        self.cut()
        try:
            yield
            time.sleep(max(0.0, began + seconds - time.monotonic()))
        finally:
            self.mend()

    @contextmanager
    def started(self, command: Sequence[object], **variables: str) -> Generator[Running]:
        """A command on this machine beside the test, ended at the latest with the block."""
        logs = self.home / "commands"
        logs.mkdir(exist_ok=True)
        path = logs / f"{len(list(logs.iterdir())):03d}.log"
        words = [str(word) for word in command]
        inside = ["nsenter", "--target", str(self.init), "--all", f"--wd={PROJECT}", *words]
        with path.open("wb") as log:
            log.write(f"$ {' '.join(words)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                tethered(inside),
                env={**os.environ, **self.environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        running = Running(process, path)
        try:
            yield running
        finally:
            if process.poll() is None:  # nsenter waits for the command, which a signal to nsenter alone would leave
                _kill(psutil.Process(process.pid).children(recursive=True))
                process.wait(STEP_S)

    def kept(self, command: Sequence[object], **variables: str) -> AbstractContextManager[Running]:
        """A service of this machine, which is started again when it ends."""
        return self.started([sys.executable, KEEPER, *command], **variables)

    def processes(self) -> list[psutil.Process]:
        """Everything that runs on this machine, its first process and the keepers of its services aside."""
        mine = _namespace(self.init, "pid")
        inside = [one for one in psutil.process_iter() if one.pid != self.init and _namespace(one.pid, "pid") == mine]
        return [one for one in inside if not {str(KEEPER), "sleep"} & set(line_of(one))]

    @contextmanager
    def network(self) -> Generator[None]:
        """This thread has the machine's network during the block."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        its = os.open(f"/proc/{self.init}/ns/net", os.O_RDONLY)
        try:
            _set_network(its)
            yield
        finally:
            _set_network(own)
            os.close(own)
            os.close(its)


def address_of(number: int) -> str:
    """The address of a machine by its number."""
    return f"10.77.0.{number}"


def in_hub(hub: int, *arguments: str) -> None:
    """`ip ARGUMENTS` in the hub's network."""
    _ip(["nsenter", "--target", str(hub), "--net", "ip", *arguments])


@contextmanager
def machines(count: int, environment: Mapping[str, str]) -> Generator[tuple[Path, list[Machine]]]:
    """A folder that all share, and so many machines. At the end no process and no interface of them is left."""
    base = Path(tempfile.mkdtemp(prefix="m-"))  # short, for the path of a socket may have 107 characters
    base.chmod(0o755)  # Chromium runs as another user
    try:
        with ExitStack() as stack:
            shared = base / "shared"
            shared.mkdir()
            homes = {number: base / str(number) for number in range(1, count + 1)}
            for home in homes.values():
                (home / "tmp").mkdir(parents=True)
                (home / "tmp").chmod(0o1777)
            hub = stack.enter_context(_running(["unshare", "--net", "sleep", "infinity"], forks=False))
            in_hub(hub, "link", "add", "bridge", "type", "bridge")
            in_hub(hub, "link", "set", "bridge", "up")
            made: list[Machine] = []
            for number, home in homes.items():
                hidden = [other for other in homes.values() if other != home]
                init = stack.enter_context(_first_process(number, hidden))
                own = {"HOME": str(home), "TMPDIR": str(home / "tmp")}
                made.append(Machine(number, home, init, hub, {**environment, **own}))
                _plug_in(made[-1])
            yield shared, made
    finally:
        shutil.rmtree(base)


@contextmanager
def _first_process(number: int, hidden: Sequence[Path]) -> Generator[int]:
    apart = ["--fork", "--kill-child=SIGKILL", "--pid", "--mount-proc", "--net", "--uts", "--mount"]
    command = ["unshare", *apart, "bash", "-c", INIT, "init", f"machine-{number}", *map(str, hidden)]
    with _running(command, forks=True) as init:
        yield init


@contextmanager
def _running(command: list[str], *, forks: bool) -> Generator[int]:
    """A process in namespaces of its own, or with `forks` its child; the pid is yielded once it is there."""
    with subprocess.Popen(tethered(command), stdin=subprocess.DEVNULL) as process:
        try:
            found: list[int] = []

            def is_there() -> bool:
                # Kept at once: its children come and go, so a second look may find it without any.
                if pid := _leader(process.pid, forks=forks):
                    found.append(pid)
                return bool(found)

            wait_until("the namespaces", is_there)
            yield found[0]
        finally:
            # The first process of a PID namespace takes all others with it.
            _kill(psutil.Process(process.pid).children())
            process.kill()


def _leader(pid: int, *, forks: bool) -> int | None:
    """The first process in the namespaces; None until it is set up. With `forks` it is a child, and has one when it is."""
    try:
        process = psutil.Process(pid)
        first = process if not forks else next((one for one in process.children() if one.children()), None)
        is_apart = first and _namespace(first.pid, "net") != _namespace("self", "net")
        return first.pid if first and is_apart else None
    except (OSError, psutil.NoSuchProcess):
        return None


def _namespace(pid: int | str, kind: str) -> Path | None:
    """The name of a process's namespace; None for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/ns/{kind}").readlink()
    except OSError:
        return None


def line_of(process: psutil.Process) -> list[str]:
    """The command line; empty for a process that has ended."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # one of the others may have taken it along
            process.kill()


def _plug_in(machine: Machine) -> None:
    number, inside = machine.number, ["nsenter", "--target", str(machine.init), "--net", "ip"]
    cable = f"cable-{number}"
    in_hub(machine.hub, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(machine.init))
    in_hub(machine.hub, "link", "set", cable, "master", "bridge", "up")
    _ip([*inside, "addr", "add", f"{machine.address}/24", "dev", "eth0"])
    _ip([*inside, "link", "set", "eth0", "up"])


def _ip(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=STEP_S)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def _set_network(descriptor: int) -> None:
    """`setns`, which Python has from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "the network of the machine can't be entered")


def python(*module: object) -> list[str]:
    """The command line of a module."""
    return [sys.executable, "-m", *map(str, module)]
