"""Owners: which process something belongs to, so that what a killed one left behind is found and removed.

An owner's id is machine, boot, process namespace, process id and start time of the process: a reused process id is
another owner. Everything outside this process (processes, containers, networks, databases, folders) is marked with it.
"""

import os
import socket
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

MARK = "RL_LOOP_ENVIRONMENT_OWNER"
"""Environment variable of processes, and with dots in place of underscores, label of containers."""
LABEL = "rl-loop.environment.owner"


@dataclass(frozen=True)
class Owner:
    """A process that owns environments. Example: `Owner.parse("4f2a91c0-77ab12ef-4026531836-4711-88123")`."""

    machine: str
    boot: str
    namespace: str
    pid: int
    started: int
    """In clock ticks since the boot."""

    @classmethod
    def of_this_process(cls) -> Self:
        """The owner that this process is."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
        pid = os.getpid()
        return cls(_short(_machine()), _short(boot), namespace, pid, start_of(pid) or 0)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The owner with this id; None for a text that is none."""
        parts = text.split("-")
        if len(parts) != 5 or not (parts[3].isdigit() and parts[4].isdigit()):
            return None
        return cls(parts[0], parts[1], parts[2], int(parts[3]), int(parts[4]))

    def __str__(self) -> str:
        return f"{self.machine}-{self.boot}-{self.namespace}-{self.pid}-{self.started}"

    @property
    def is_gone(self) -> bool:
        """True if it is certain that the owner does not run: it belongs to this machine, and has ended.

        A process of another machine or of another container can't be seen from here, and counts as running.
        """
        here = Owner.of_this_process()
        if self.machine != here.machine:
            return False
        if self.boot != here.boot:
            return True
        return self.namespace == here.namespace and start_of(self.pid) != self.started


def is_orphan(mark: str | None) -> bool:
    """True if something with this mark belongs to an owner that has ended."""
    owner = Owner.parse(mark) if mark else None
    return owner is not None and owner.is_gone


def start_of(pid: int) -> int | None:
    """Start time of a process in clock ticks since the boot; None if it does not run, a zombie included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _machine() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip() or socket.gethostname()
    except OSError:
        return socket.gethostname()


def _short(text: str) -> str:
    return sha256(text.strip().encode()).hexdigest()[:8]
