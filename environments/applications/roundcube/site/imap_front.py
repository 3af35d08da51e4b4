"""Serves IMAP: signs a client in, then hands its connection to a Dovecot process of its own.

Dovecot's login servers look for their modules in a folder of the system that an unpacked package has not. Its `imap`
does not: it is started with the connection as its input and output, as for a user who has signed in already.
"""

import asyncio
import base64
import contextlib
import re
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

COMMAND = re.compile(rb"(\S+) (\S+) ?(.*?)\r?\n", re.DOTALL)
QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"|(\S+)')
NAME = re.compile(r"golden|e[0-9a-f]{16}")
LONGEST = 4_096
CHUNK = 65_536
CAPABILITIES = b"IMAP4rev1 SASL-IR AUTH=PLAIN"
SIGN_IN_S = 30.0


class ImapFront:
    """An IMAP server on the loopback interface. A user is an episode; the mailboxes are in the folder of its name."""

    def __init__(self, program: Path, settings: Mapping[str, str], folder: Path, password: str) -> None:
        """`program`: Dovecot's `imap`, with its `settings` as variables. `folder`: has the episodes' folders."""
        self._program, self._settings, self._folder, self._password = program, settings, folder, password
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    async def serve(self) -> None:
        """Serves clients, until it is cancelled."""
        loop, clients = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        with self._socket:
            while True:
                client, _ = await loop.sock_accept(self._socket)
                task = asyncio.create_task(self._serve(client))
                clients.add(task)
                task.add_done_callback(clients.discard)

    async def _serve(self, client: socket.socket) -> None:
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                async with asyncio.timeout(SIGN_IN_S):
                    signed_in = await self._sign_in(client)
            except (OSError, TimeoutError, ValueError):  # it has left, or it speaks another language
                return
            if signed_in is None:
                return
            user, tag = signed_in
            own = {"USER": user, "HOME": str(self._folder / user), "IMAPLOGINTAG": tag}
            # For root, `imap` takes a connection as its input only: its output is passed on.
            process = await asyncio.create_subprocess_exec(
                str(self._program),
                stdin=client.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self._settings) | own,
            )
            assert process.stdout is not None, "it is a pipe"
            with contextlib.suppress(OSError):
                while part := await process.stdout.read(CHUNK):
                    await asyncio.get_running_loop().sock_sendall(client, part)
        await process.wait()

    async def _sign_in(self, client: socket.socket) -> tuple[str, str] | None:
        """The user, and the tag of the command that Dovecot is to answer; None if the client leaves."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"* OK [CAPABILITY " + CAPABILITIES + b"] ready\r\n")
        while (line := await self._line(client)) and (found := COMMAND.fullmatch(line)):
            tag, name, rest = found[1], found[2].upper(), found[3]
            user = None
            if name == b"CAPABILITY":
                await loop.sock_sendall(client, b"* CAPABILITY " + CAPABILITIES + b"\r\n" + tag + b" OK done\r\n")
                continue
            if name == b"LOGOUT":
                await loop.sock_sendall(client, b"* BYE\r\n" + tag + b" OK done\r\n")
                return None
            if name == b"LOGIN":
                words = [re.sub(rb"\\(.)", rb"\1", quoted or plain) for quoted, plain in QUOTED.findall(rest)]
                user = self._user(*words) if len(words) == 2 else None
            elif name == b"AUTHENTICATE" and rest.upper().startswith(b"PLAIN "):
                words = base64.b64decode(rest[6:]).split(b"\0")
                user = self._user(words[1], words[2]) if len(words) == 3 else None
            if user is not None:
                return user, tag.decode("ascii", "replace")
            await loop.sock_sendall(client, tag + b" NO [AUTHENTICATIONFAILED] wrong name or password\r\n")
        return None

    async def _line(self, client: socket.socket) -> bytes:
        """One line, and nothing of what follows: that is for Dovecot."""
        loop, line = asyncio.get_running_loop(), b""
        while not line.endswith(b"\n") and len(line) < LONGEST:
            part = await loop.sock_recv(client, 1)
            if not part:
                return b""
            line += part
        return line

    def _user(self, name: bytes, password: bytes) -> str | None:
        """The user, if the password is right and there are mailboxes."""
        user = name.decode(errors="replace")
        is_known = bool(NAME.fullmatch(user)) and (self._folder / user).is_dir()
        return user if is_known and password == self._password.encode() else None
