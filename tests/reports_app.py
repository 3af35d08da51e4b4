"""The application of the container tests: reports over a Postgres database, behind the variables and addresses of Metabase.

Runs in a container of its own, without this project: `/api/health`, `/api/session`, pages for people who are signed in.
"""

import asyncio
import html
import json
import os
import secrets
import sys
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, "/application")  # python -I leaves it out

import asyncpg

SESSION = "metabase.SESSION"
WHO = "select core_user.email from core_session join core_user on core_user.id = user_id where core_session.id = $1"


def rows(query: str, *values: Any) -> list[Any]:
    """Rows of the database that the variables name."""

    async def ask() -> list[Any]:
        connection = await asyncpg.connect(
            host=os.environ["MB_DB_HOST"],
            port=int(os.environ["MB_DB_PORT"]),
            database=os.environ["MB_DB_DBNAME"],
            user=os.environ["MB_DB_USER"],
            password=os.environ["MB_DB_PASS"],
            timeout=5,
        )
        try:
            return await connection.fetch(query, *values)
        finally:
            await connection.close()

    return asyncio.run(ask())


class Reports(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/api/health":
            try:
                rows("select 1")
            except Exception as error:
                self._reply(503, json.dumps({"status": "initializing", "error": str(error)}))
            else:
                self._reply(200, json.dumps({"status": "ok"}))
        elif not (who := self._who()):
            self._reply(200, _page("Sign in", "<form><input name=username placeholder='Email'></form>"))
        elif path.path == "/report":
            self._report(parse_qs(path.query).get("plan", [""])[0])
        else:
            self._home(who)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/api/session":
            self._sign_in(json.loads(body))
        elif self._who():
            rows("insert into note (text) values ($1)", parse_qs(body).get("text", [""])[0])
            self._reply(303, "", {"Location": "/"})
        else:
            self._reply(401, "")

    def _sign_in(self, given: dict[str, str]) -> None:
        query = "select id from core_user where email = $1 and password = $2"
        found = rows(query, given["username"], given["password"])
        if not found:
            self._reply(401, json.dumps({"errors": {"password": "did not match"}}))
            return
        session = secrets.token_hex(16)
        rows("insert into core_session (id, user_id) values ($1, $2)", session, found[0]["id"])
        cookie = f"{SESSION}={session}; Path=/; HttpOnly; SameSite=Lax"
        self._reply(200, json.dumps({"id": session}), {"Set-Cookie": cookie})

    def _home(self, who: str) -> None:
        plans = rows("select distinct plan from sale order by plan")
        links = "".join(f"<li><a href='/report?plan={one['plan']}'>{one['plan']}</a></li>" for one in plans)
        notes = "".join(f"<li>{html.escape(one['text'])}</li>" for one in rows("select text from note order by id"))
        form = "<form method=post action=/note><input name=text placeholder=Note><button>Save</button></form>"
        self._reply(200, _page("Reports", f"<p>{who}</p><ul>{links}</ul>{form}<ul id=notes>{notes}</ul>"))

    def _report(self, plan: str) -> None:
        [found] = rows("select count(*) as sold, coalesce(sum(amount), 0) as total from sale where plan = $1", plan)
        facts = f"<p>Sold: {found['sold']}</p><p>Total: {found['total']}</p><a href='/'>All reports</a>"
        self._reply(200, _page(f"Plan {html.escape(plan)}", facts))

    def _who(self) -> str:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(SESSION)
        found = rows(WHO, cookie.value) if cookie else []
        return found[0]["email"] if found else ""

    def _reply(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        kind = "application/json" if text.startswith("{") else "text/html; charset=utf-8"
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: Any) -> None:
        """Logs nothing."""


def _page(title: str, content: str) -> str:
    return f"<!doctype html><title>{title}</title><h1>{title}</h1>{content}"


if __name__ == "__main__":
    ThreadingHTTPServer((os.environ["MB_JETTY_HOST"], int(os.environ["MB_JETTY_PORT"])), Reports).serve_forever()
