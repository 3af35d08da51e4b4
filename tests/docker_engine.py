"""A real Docker engine of the tests, with images made from files of this machine: none can be pulled."""

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import psutil
import pytest

from environments.base import EnvironmentBroken
from environments.providers.docker.engine import connect
from environments.providers.owners import LABEL

DOCKERD, BUSYBOX = shutil.which("dockerd"), shutil.which("busybox")
needs_engine = pytest.mark.skipif(
    not DOCKERD or not BUSYBOX or os.getuid() != 0, reason="dockerd, a static busybox and root are needed"
)


class Engine:
    """An engine with its data in a folder, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it answers. Skips the test where none starts; one that has run before must start."""
        has_run = (self._folder / "log").exists()
        if self._answers():
            return
        # Killed while it makes a network, Docker 20.10 leaves one without addresses in its records, and panics at every later start.
        shutil.rmtree(self._folder / "data/network/files", ignore_errors=True)
        if has_run and self._answers():
            return
        end = f"no engine starts here: {(self._folder / 'log').read_text()[-300:]}"
        pytest.fail(end) if has_run else pytest.skip(end)

    def _answers(self) -> bool:
        """Starts a process; False if it ends, or does not answer within a minute."""
        folder = self._folder
        command = [DOCKERD, "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*map(str, command), "--host", self.address], stdout=log, stderr=log)
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            try:
                connect(self.address).close()
                return True
            except EnvironmentBroken:
                time.sleep(0.2)
        self.kill()
        return False

    def kill(self) -> None:
        """`kill -9`: the engine can't clean up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)
        # Its containerd dies with it. Where process 1 reaps no orphans (as in some containers) that leaves a zombie, which the
        # next engine would take for a containerd that runs.
        (self._folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Ends it in order, and its containers with it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
        # Of containers that were being made when an engine was killed, the next one knows nothing: their shims stay.
        for process in psutil.process_iter(["cmdline"]):
            if any(word.startswith(f"{self._folder}/exec/") for word in process.info["cmdline"] or []):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        # An engine leaves its own mounts, and pytest could never remove the folder.
        mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for point in reversed([one for one in mounted if one.startswith(f"{self._folder}/")]):
            subprocess.run(["umount", "--lazy", point], check=False)


@contextmanager
def running_engine(folder: Path) -> Generator[str]:
    """The address of an engine with its data in a folder. Skips the test where none starts."""
    engine = Engine(folder)
    try:
        engine.start()
        yield engine.address
    finally:
        engine.stop()


def page_image() -> bytes:
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
