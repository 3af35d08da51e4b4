"""A real redis-server on a socket of its own, to be stopped, paused, started again and flushed."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

PASSWORD = "only-a-test"


@dataclass
class RealRedis:
    """Keeps nothing on disk: after a restart it is empty."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?password={PASSWORD}"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), password=PASSWORD, decode_responses=True)

    def start(self) -> None:
        """Returns once it answers."""
        program = shutil.which("redis-server")
        assert program, "there is no redis-server on the PATH; ./setup.sh installs it"
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen(
            [program, *options, "--requirepass", PASSWORD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                with self.client as client:
                    client.ping()
                return
            except redis.ConnectionError:
                assert self.process.poll() is None, "redis-server ended at once"
                assert time.monotonic() < deadline, "redis-server never answered"
                time.sleep(0.02)

    def kill(self) -> None:
        """As a crash would."""
        self._signal(signal.SIGKILL)
        assert self.process
        self.process.wait(timeout=10)
        self.socket.unlink(missing_ok=True)

    def pause(self) -> None:
        """Connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)


@contextmanager
def running_redis() -> Generator[RealRedis, None, None]:
    """A server of one's own, gone afterwards with its folder."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))  # short, for the path of a socket may have 107 characters
    server = RealRedis(folder)
    try:
        server.start()
        yield server
    finally:
        if server.process and server.process.poll() is None:
            server.kill()
        shutil.rmtree(folder)
