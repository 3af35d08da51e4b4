"""Accepts every mail of an episode and keeps it in the episode's folder: none leaves the machine."""

import re
from pathlib import Path
from typing import Any

HOST = re.compile(r"(e[0-9a-f]{16})\.localhost")


class Sink:
    """Handler of aiosmtpd. A client greets with the host name of its episode."""

    def __init__(self, folder: Path) -> None:
        """`folder`: has the episodes' folders."""
        self._folder = folder

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keeps a mail as `outbox/0001.eml`, with the addresses of its envelope as its first headers."""
        found = HOST.fullmatch(session.host_name or "")
        if found is None or not (self._folder / found[1]).is_dir():
            return "550 no such episode"
        outbox = self._folder / found[1] / "outbox"
        outbox.mkdir(exist_ok=True)
        number = len(list(outbox.iterdir())) + 1
        head = f"Return-Path: <{envelope.mail_from}>\r\nDelivered-To: {', '.join(envelope.rcpt_tos)}\r\n"
        new = outbox / f"{number:04}.new"
        new.write_bytes(head.encode() + envelope.content)
        new.rename(outbox / f"{number:04}.eml")
        return "250 OK"
