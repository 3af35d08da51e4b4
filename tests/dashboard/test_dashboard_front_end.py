"""The built pages: made from today's sources, typed by today's API, small, and from this host alone."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import httpx
from fastapi import FastAPI

import dashboard
from dashboard.api.service import Service
from dashboard.app import PAGES

WEB = Path(dashboard.__file__).parent / "web"
MOST_BYTES = 250_000
"""Of the first load, compressed."""
LOADED = re.compile(r'(?:src|href)="(/static/app/[^"]+)"')


def test_the_types_of_the_pages_are_those_of_the_api(application: tuple[Service, FastAPI]) -> None:
    """`python -m scripts.openapi` and `npm run types` bring them in step."""
    described = json.loads((WEB / "openapi.json").read_text())
    assert described == application[1].openapi(), "run: python -m scripts.openapi"
    types = (WEB / "src/api/schema.ts").read_text()
    names = [*described["paths"], *described["components"]["schemas"]]
    fields = {field for one in described["components"]["schemas"].values() for field in one.get("properties", {})}
    missing = [
        name for name in [*names, *fields] if not re.search(rf'^ *"?{re.escape(name)}"?\??:', types, re.MULTILINE)
    ]
    assert missing == [], "run in dashboard/web: npm run types"


def test_the_built_files_are_of_todays_sources() -> None:
    """The build writes the digest of what it read, so that no change of a source is forgotten."""
    digest = hashlib.sha256()
    for path in sorted((WEB / "src").rglob("*"), key=lambda one: one.relative_to(WEB).as_posix()):
        if path.is_file() and ".test." not in path.name:
            digest.update(f"{path.relative_to(WEB).as_posix()}\0".encode() + path.read_bytes())
    assert (PAGES / "sources.txt").read_text() == digest.hexdigest(), "run in dashboard/web: npm run build"


def test_a_first_load_is_small_and_from_this_host() -> None:
    for page in ("index.html", "docs.html"):
        html = (PAGES / page).read_text()
        files = [PAGES.parent.parent / address.lstrip("/") for address in LOADED.findall(html)]
        assert {path.suffix for path in files} == {".js", ".css"}
        total = len(html) + sum(len(gzip.compress(path.read_bytes())) for path in files)
        assert total <= MOST_BYTES, f"{page} loads {total} bytes"
        assert "//" not in html and "<style" not in html and not re.search(r"<script(?![^>]*\bsrc=)", html)


async def test_scripts_are_sent_compressed(client: httpx.AsyncClient) -> None:
    largest = max((PAGES / "assets").glob("*.js"), key=lambda path: path.stat().st_size)
    address = f"/static/app/assets/{largest.name}"
    async with client.stream("GET", address, headers={"accept-encoding": "gzip"}) as reply:
        sent = sum([len(chunk) async for chunk in reply.aiter_raw()])
    assert reply.headers["content-encoding"] == "gzip" and sent < largest.stat().st_size / 2
    whole = await client.get(address, headers={"accept-encoding": "identity"})
    assert whole.content == largest.read_bytes() and whole.headers["etag"] == reply.headers["etag"]
