"""A real nginx with the configuration that the command line prints, as a process of its own on a free port."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from real_service import free_port
from real_tiers import cli

MAIN = """
daemon off;
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/browser-service.conf;
}}
"""


@dataclass
class RealNginx:
    """A server at `url`, with a certificate of the authority in `ca_file`."""

    url: str
    ca_file: Path
    folder: Path


def nginx_program() -> str:
    """The program. Debian keeps it where only root's PATH leads."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, "there is no nginx on the PATH or in /usr/sbin; ./setup.sh installs it"
    return found


@contextmanager
def running_nginx(upstreams: Sequence[str]) -> Generator[RealNginx, None, None]:
    """In front of these addresses (`host:port`). Its configuration has passed `nginx -t`."""
    folder, port = Path(tempfile.mkdtemp(prefix="nginx-")), free_port()
    ca_file = make_certificate(folder)
    (folder / "browser-service.conf").write_text(printed(folder, port, upstreams), encoding="utf-8")
    user = "user root;" if os.getuid() == 0 else ""  # its own folder is nobody else's to read
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user), encoding="utf-8")
    command = [nginx_program(), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=30, check=False)
        assert checked.returncode == 0, checked.stderr
        process = stack.enter_context(subprocess.Popen(command))
        stack.callback(process.terminate)
        _wait_for(port, process)
        yield RealNginx(f"https://localhost:{port}", ca_file, folder)


def printed(folder: Path, port: int, upstreams: Sequence[str]) -> str:
    """The output of `browser-service nginx`."""
    options = ["--server-name", "localhost", "--certificate", str(folder / "c.pem"), "--port", str(port)]
    options += ["--certificate-key", str(folder / "k.pem"), "--access-log", str(folder / "access.log")]
    for upstream in upstreams:
        options += ["--upstream", upstream]
    return subprocess.run(cli("nginx", *options), capture_output=True, text=True, timeout=60, check=True).stdout


def make_certificate(folder: Path) -> Path:
    """An authority of one's own, and a certificate of it for this machine: `c.pem` with its key `k.pem`. Returns the authority's."""
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    own = _unsigned("private authority", authority.public_key(), is_authority=True).sign(authority, hashes.SHA256())
    certificate = _unsigned("localhost", key.public_key(), is_authority=False).add_extension(names, critical=False)
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "ca.pem").write_bytes(own.public_bytes(pem))
    (folder / "c.pem").write_bytes(certificate.sign(authority, hashes.SHA256()).public_bytes(pem))
    (folder / "k.pem").write_bytes(key.private_bytes(pem, *plain))
    return folder / "ca.pem"


def _unsigned(name: str, key: ec.EllipticCurvePublicKey, *, is_authority: bool) -> x509.CertificateBuilder:
    def called(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(called(name)).issuer_name(called("private authority"))
    builder = builder.public_key(key).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    return builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)


@contextmanager
def unreachable_port() -> Generator[int, None, None]:
    """A port that answers no connection at all, as behind a firewall: its queue is full and nobody accepts."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.3)
            try:
                waiting.connect(address)
            except TimeoutError:
                break
        yield address[1]
