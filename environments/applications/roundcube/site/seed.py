"""Fills the empty database, and the mailboxes of the start state.

python seed.py WORLD.json
"""

import asyncio
import imaplib
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

import programs
from account import ACCOUNT, PASSWORD
from imap_front import ImapFront

GOLDEN = os.environ["RL_LOOP_DATABASE"]
DEADLINE_S = 300


def database(world: Path) -> None:
    """Fills the database by a program in PHP, which uses Roundcube's own classes."""
    with tempfile.TemporaryDirectory() as folder:
        variables = programs.variables(RL_LOOP_ACCOUNT=ACCOUNT, RL_LOOP_PASSWORD=PASSWORD, RL_LOOP_FOLDER=folder)
        command = programs.php(str(programs.SITE / "seed.php"), str(world))
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.stdout.strip() != "done" or done.returncode:
        sys.exit(f"the database: {done.stdout[-1_000:]} {done.stderr[-1_000:]}")


def plugin() -> None:
    """Puts the plugin that finds an episode's mailboxes where Roundcube looks for its plugins."""
    folder = programs.ROUNDCUBE / "plugins" / "episodes"
    folder.mkdir(exist_ok=True)
    shutil.copy(programs.SITE / "episodes.php", folder)


def message(wanted: dict) -> bytes:
    """One mail."""
    made = EmailMessage()
    for header in ("From", "To", "Cc", "Subject"):
        if wanted.get(header.lower()):
            made[header] = wanted[header.lower()]
    made["Date"] = datetime.fromisoformat(wanted["date"])
    made["Message-ID"] = f"<{wanted['id']}>"
    made.set_content(wanted["text"])
    if wanted.get("attachment"):
        made.add_attachment(wanted["text"], filename=wanted["attachment"])
    return made.as_bytes()


def mailboxes(world: dict, port: int) -> None:
    """Makes the folders and the mails, and reads them once: Dovecot's indexes are part of the start state."""
    with imaplib.IMAP4("127.0.0.1", port, timeout=DEADLINE_S) as imap:
        imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        expect(imap.login(GOLDEN, PASSWORD))
        for folder, mails in world["folders"].items():
            if folder != "INBOX":
                expect(imap.create(folder))
            expect(imap.subscribe(folder))
            for wanted in mails:
                at = imaplib.Time2Internaldate(datetime.fromisoformat(wanted["date"]))
                expect(imap.append(folder, f"({' '.join(wanted['flags'])})", at, message(wanted)))
            expect(imap.select(folder))
            if mails:
                expect(imap.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE INTERNALDATE BODYSTRUCTURE ENVELOPE)"))
                expect(imap.uid("SORT", "(REVERSE DATE)", "UTF-8", "ALL"))


def expect(answer: tuple) -> None:
    """Ends the program unless the server agreed."""
    if answer[0] != "OK":
        sys.exit(f"the mailboxes: {answer}")


async def files(world: dict) -> None:
    """Makes the mailboxes in a temporary folder, which everybody may enter, and keeps them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        golden = folder / GOLDEN
        golden.mkdir()
        if os.geteuid() == 0:  # Dovecot refuses to work for root
            nobody = pwd.getpwnam("nobody")
            for path in (folder, golden):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        settings = await asyncio.to_thread(programs.imap_settings, folder, folder)
        front = ImapFront(programs.ROOT / "usr/lib/dovecot/imap", settings, folder, PASSWORD)
        serving = asyncio.create_task(front.serve())
        try:
            await asyncio.to_thread(mailboxes, world, front.port)
        finally:
            serving.cancel()
        shutil.copytree(golden, Path(os.environ["RL_LOOP_FILES"]) / GOLDEN)


if __name__ == "__main__":
    plugin()
    database(Path(sys.argv[1]))
    asyncio.run(files(json.loads(Path(sys.argv[1]).read_text())))
