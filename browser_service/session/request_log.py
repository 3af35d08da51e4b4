"""The log of a session's requests: bounded in number and bytes, without headers, so that it may be stored and read.

    page ── request ──► room of its class? ──► entry ── response / failure ──► status
                              └─ no: counted

Writes, documents and other reads have limits of their own: a page that loads pictures without end does not push out
the one order that matters. Only leases that ask for the log have its listeners.
"""

import base64
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.async_api import BrowserContext, Request, Response

from browser_service.models.network import READS, REMOVED, RequestLogHead, RequestRecord

Kind = Literal["writes", "documents", "reads"]

MOST: dict[Kind, int] = {"writes": 1_000, "documents": 1_000, "reads": 1_000}
"""Largest number of recorded requests of each class."""
LONGEST_URL = 2_048
LONGEST_BODY = 32_768
"""Largest number of bytes of one recorded body."""
ALL_BODIES = 2_097_152
"""Largest number of bytes of all recorded bodies of a lease."""
SECRET = r"(?:pass(?:word|wd|phrase)|pwd|secret|token|credential|api_?key|cvv|cvc|card_?number)"
IN_FORM = re.compile(rf"((?:\A|&)[^=&\s]{{0,100}}{SECRET}[^=&\s]{{0,100}}=)[^&]*", re.IGNORECASE)
IN_JSON = re.compile(
    rf'("[^"\\\n]{{0,100}}{SECRET}[^"\\\n]{{0,100}}"\s*:\s*)(?:"(?:[^"\\]|\\.)*(?:"|\Z)|-?\d[\d.eE+-]*)', re.IGNORECASE
)
IN_PARTS = re.compile(
    rf'(name="[^"\n]{{0,100}}{SECRET}[^"\n]{{0,100}}"[^\n]{{0,300}}\n(?:[^\r\n][^\n]{{0,300}}\n){{0,5}}\r?\n)[^\r\n]*',
    re.IGNORECASE,
)
"""The name of a secret field and all before its value, in URL-encoded forms, in JSON, in multipart forms."""


class _Body(NamedTuple):
    content_type: str = ""
    text: str | None = None
    base64: bool = False
    is_cut: bool = False


@dataclass
class _Entry:
    began: RequestRecord
    status: int | None = None
    error: str = ""

    def line(self) -> bytes:
        changes: dict[str, object] = {"status": self.status, "error": "" if self.status else self.error}
        if self.began.body is not None and self.began.base64:
            # Latin-1 maps every byte to a character and back: a form with a file may have a password, too.
            text = without_secrets(base64.b64decode(self.began.body).decode("latin-1"))
            changes["body"] = base64.b64encode(text.encode("latin-1")).decode()
        elif self.began.body is not None:
            changes["body"] = without_secrets(self.began.body)
        return self.began.model_copy(update=changes).model_dump_json(exclude_defaults=True).encode() + b"\n"


@dataclass
class RequestLog:
    """The requests of one context while a lease lasts."""

    context: BrowserContext
    clock: Callable[[], float] = time.monotonic
    steps: int = 0
    """Number of steps that have begun; the session counts them."""
    _began: float = 0.0
    _entries: list[_Entry] = field(default_factory=list)
    _pending: dict[Request, _Entry] = field(default_factory=dict)
    _room: dict[Kind, int] = field(default_factory=lambda: dict(MOST))
    _dropped: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(MOST, 0))
    _bytes_left: int = ALL_BODIES

    def start(self) -> None:
        """Follows all requests of the context from now on, those of tabs that open later too."""
        self._began = self.clock()
        self.context.on("request", self._started)
        self.context.on("response", self._answered)
        self.context.on("requestfailed", self._failed)

    def stop(self) -> None:
        """Follows no further requests."""
        self.context.remove_listener("request", self._started)
        self.context.remove_listener("response", self._answered)
        self.context.remove_listener("requestfailed", self._failed)
        self._pending.clear()

    def write(self, path: Path) -> None:
        """Writes the log as JSON lines: `RequestLogHead`, then each `RequestRecord` in the order of sending.

        Blocks: call it in a thread. Secrets are searched only here, because that takes milliseconds for a hostile body.
        """
        dropped = {f"dropped_{kind}": count for kind, count in self._dropped.items()}
        requests = len(self._entries) + sum(self._dropped.values())
        head = RequestLogHead.model_validate({"steps": self.steps, "requests": requests} | dropped)
        with path.open("wb") as file:
            file.write(head.model_dump_json().encode() + b"\n")
            file.writelines(entry.line() for entry in self._entries)

    def _started(self, request: Request) -> None:
        kind = _kind_of(request)
        if not self._room[kind]:
            self._dropped[kind] += 1
            return
        self._room[kind] -= 1
        url = without_user(request.url)
        body = self._body_of(request) if kind == "writes" else _Body()
        entry = _Entry(
            RequestRecord(
                step=self.steps,
                at_s=round(max(0.0, self.clock() - self._began), 3),
                method=clean(request.method)[:20],
                url=clean(url[:LONGEST_URL]),
                url_cut=len(url) > LONGEST_URL,
                resource_type=request.resource_type,
                content_type=body.content_type,
                body=body.text,
                base64=body.base64,
                body_cut=body.is_cut,
            )
        )
        self._entries.append(entry)
        self._pending[request] = entry

    def _answered(self, response: Response) -> None:
        if entry := self._pending.pop(response.request, None):
            entry.status = response.status

    def _failed(self, request: Request) -> None:
        if entry := self._pending.pop(request, None):
            entry.error = clean(request.failure or "failed")[:200]

    def _body_of(self, request: Request) -> _Body:
        content_type = clean(request.headers.get("content-type", ""))[:200]
        data = request.post_data_buffer
        if data is None:
            return _Body(content_type)
        kept = data[: min(LONGEST_BODY, self._bytes_left)]
        self._bytes_left -= len(kept)
        is_cut = len(kept) < len(data)
        text = _text_of(kept, is_cut=is_cut)
        if text is None:
            return _Body(content_type, base64.b64encode(kept).decode(), base64=True, is_cut=is_cut)
        return _Body(content_type, text, is_cut=is_cut)


def without_secrets(text: str) -> str:
    """A body with the values of secret fields replaced, in forms of both kinds and in JSON.

    Example: `without_secrets("user=anna&password=x") == "user=anna&password=[removed]"`.
    """
    if text.lstrip()[:1] in ("{", "["):
        return IN_JSON.sub(rf'\1"{REMOVED}"', text)
    return (IN_PARTS if text.startswith("--") else IN_FORM).sub(rf"\g<1>{REMOVED}", text)


def _kind_of(request: Request) -> Kind:
    if request.method not in READS:
        return "writes"
    return "documents" if request.resource_type == "document" else "reads"


def _text_of(data: bytes, *, is_cut: bool) -> str | None:
    """The text of a body, None if it is no UTF-8. A cut may have split its last character, which is left out."""
    for end in range(len(data), max(len(data) - 4, -1) if is_cut else len(data) - 1, -1):
        try:
            return data[:end].decode()
        except UnicodeDecodeError:
            continue
    return None


def without_user(url: str) -> str:
    """An address without user name and password."""
    return re.sub(r"^(\w{1,20}://)[^/?#@]*@", r"\1", url)


def clean(text: str) -> str:
    """A text without halves of surrogate pairs, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode()
