"""Reads the mailboxes of an episode, and what its sink accepted, as rows by table.

A folder is a table, `mail.INBOX`, whose keys are the ids of its mails. `folders` has a row per folder, `outbox` one per mail
that was sent.
"""

import re
from collections.abc import Mapping
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from environments.providers.postgres.state import Rows, shortened

FLAGS = {"S": "is_read", "F": "is_flagged", "R": "is_answered", "T": "is_deleted", "D": "is_draft"}
"""Letters at the end of a file's name."""
KEYWORDS = "abcdefghijklmnopqrstuvwxyz"
LONGEST_TEXT = 4_000
"""Characters of a mail that are kept as they are: a forwarded mail has all of another one."""
MOST_KNOWN = 20_000
"""Mails whose content is kept in memory."""
PARSER = BytesParser(policy=policy.default)


class Mailboxes:
    """Reader that parses a mail once: its file is the same in all episodes, until it is moved."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def read(self, folder: Path) -> dict[str, Rows]:
        """Rows by table and key of an episode's folder."""
        boxes = folder / "Maildir"
        subscribed = set(_lines(boxes / "subscriptions"))
        found = {"INBOX": boxes} | {path.name[1:]: path for path in sorted(boxes.glob(".*")) if (path / "cur").is_dir()}
        tables: dict[str, Rows] = {
            "folders": {name: {"id": name, "is_subscribed": name in subscribed} for name in found},
            "outbox": {path.stem: {"id": path.stem, **_content(path)} for path in sorted(folder.glob("outbox/*.eml"))},
        }
        mails = {f"mail.{name}": self._mails(box) for name, box in found.items()}
        return tables | {name: rows for name, rows in mails.items() if rows}

    def _mails(self, box: Path) -> Rows:
        keywords = dict(line.split(" ", 1) for line in _lines(box / "dovecot-keywords"))
        rows: dict[str, Mapping[str, Any]] = {}
        for path in sorted([*(box / "cur").iterdir(), *(box / "new").iterdir()]):
            name, _, letters = path.name.partition(":2,")
            content = self._known.get(name) or _content(path)
            if len(self._known) < MOST_KNOWN:
                self._known[name] = content
            flags: dict[str, Any] = {flag: letter in letters for letter, flag in FLAGS.items()}
            own = [keywords.get(str(KEYWORDS.index(letter)), letter) for letter in letters if letter in KEYWORDS]
            key = content["id"]
            while key in rows:
                key += "+"  # a copy of a mail has its id
            rows[key] = content | flags | {"keywords": sorted(own)}
        return rows


def _content(path: Path) -> dict[str, Any]:
    """Headers and text of a mail. The date is left out: no check can know that of a new mail."""
    with path.open("rb") as file:
        mail = PARSER.parse(file)
    assert isinstance(mail, EmailMessage), "the policy makes this class"
    headers = {
        name.lower().replace("-", "_"): str(mail.get(name, ""))
        for name in ("Subject", "From", "To", "Cc", "Bcc", "Reply-To", "In-Reply-To", "X-Priority", "Delivered-To")
    }
    attachments = [part.get_filename() or part.get_content_type() for part in mail.iter_attachments()]
    body = mail.get_body(("plain", "html"))
    assert body is None or isinstance(body, EmailMessage), "the policy makes this class"
    text = _text(body) if body else ""
    return {
        "id": str(mail.get("Message-ID", path.name)).strip("<> ").replace("/", "_"),
        **shortened(headers),
        "text": text if len(text) <= LONGEST_TEXT else shortened(text),
        "attachments": attachments,
    }


def _text(body: EmailMessage) -> str:
    """The text of a mail; soft line breaks (RFC 3676) are none."""
    text = body.get_content().replace("\r\n", "\n")
    if body.get_content_type() != "text/plain":
        text = re.sub(r"<[^>]*>", "", text)
    if str(body["Content-Type"].params.get("format", "")).lower() == "flowed":
        text = re.sub(r"(?<!^--) \n(?!>)", " ", text, flags=re.MULTILINE)
        text = re.sub(r"^ ", "", text, flags=re.MULTILINE)
    return text.strip()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
