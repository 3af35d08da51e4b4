"""The web application of all episodes: one unguessable address per episode, pages rendered from its state.

GET  /e/<token>/cart.html      a page, rendered; GET /e/<token>/style.css: a file
POST /e/<token>/add_to_cart    an action, then a redirect to the next page

Nothing here can be asked for the state: the verifier reads it in this process.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlsplit

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

from environments.providers.static.application import StaticApplication
from environments.providers.static.episode import StaticEpisode
from environments.providers.static.visits import Visit

logger = logging.getLogger(__name__)

MAX_FORM_BYTES = 65_536
MAX_FIELDS = 200
MAX_FIELD = 10_000
SESSION = "session"
"""Name of the cookie."""
SECURITY = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data:; frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Pages:
    """The episodes by token, and the pages of their application."""

    def __init__(self, application: StaticApplication) -> None:
        self._application = application
        self.first_page = application.first_page
        self._jinja = Environment(
            loader=FileSystemLoader(application.pages), autoescape=True, undefined=StrictUndefined, auto_reload=False
        )
        self.episodes: dict[str, StaticEpisode] = {}

    def find(self, token: str) -> StaticEpisode:
        """The episode of a token. Raises a 404 when there is none."""
        if (episode := self.episodes.get(token)) is None or episode.state is None:
            raise HTTPException(404, "There is no such episode, or it is over.")
        return episode

    def show(self, episode: StaticEpisode, page: str, visit: Visit) -> Response:
        """A page or a file of the application; the sign-in page to visitors who are not signed in."""
        application = self._application
        if not page.endswith(".html"):
            return self._file(page)
        if not visit.signed_in and application.sign_in_page:
            page = application.sign_in_page
        if page.startswith("_"):
            raise HTTPException(404, "There is no such page.")
        try:
            template = self._jinja.get_template(page)
        except TemplateNotFound:
            raise HTTPException(404, "There is no such page.") from None
        notice, episode.notice = episode.notice, ""
        view = application.views.get(page)
        more = view(episode.state, visit) if view else {}
        body = template.render(
            state=episode.state, query=visit.fields, signed_in=visit.signed_in, notice=notice, page=page, **more
        )
        return Response(body, media_type="text/html", headers=SECURITY)

    def act(self, episode: StaticEpisode, name: str, visit: Visit, *, back: str) -> Response:
        """Carries out an action and redirects to the next page; to `back` if it is refused."""
        application = self._application
        if (action := application.actions.get(name)) is None:
            raise HTTPException(404, "There is no such action.")
        was_in = visit.signed_in
        if not was_in and name != "sign_in":
            raise HTTPException(403, "Please sign in first.")
        page = episode.act(action, visit) or back
        answer = RedirectResponse(page, status_code=303, headers=SECURITY)
        if visit.signed_in and not was_in:
            session = StaticEpisode().token
            episode.sessions.add(session)
            answer.set_cookie(SESSION, session, path=f"/e/{episode.token}/", httponly=True, samesite="strict")
        elif was_in and not visit.signed_in:
            episode.sessions.clear()
        return answer

    def visit(self, request: Request, episode: StaticEpisode, fields: Mapping[str, str]) -> Visit:
        """The request as an action or a view sees it."""
        without_accounts = not self._application.sign_in_page
        return Visit(fields=fields, signed_in=without_accounts or request.cookies.get(SESSION) in episode.sessions)

    def back(self, request: Request, token: str) -> str:
        """The page from which a form was sent, if it is one of this episode; otherwise the first page."""
        came = urlsplit(request.headers.get("referer", ""))
        before, _, page = came.path.partition(f"/e/{token}/")
        is_ours = came.netloc == request.url.netloc and not before and page
        return (page + (f"?{came.query}" if came.query else "")) if is_ours else self._application.first_page

    def _file(self, name: str) -> Response:
        pages = self._application.pages.resolve()
        path = (pages / name).resolve()
        if not path.is_relative_to(pages) or not path.is_file() or path.suffix in (".py", ".html"):
            raise HTTPException(404, "There is no such file.")
        return FileResponse(path, headers=SECURITY | {"Cache-Control": "private, max-age=3600"})


def build_app(pages: Pages, *, host: str) -> FastAPI:
    """The routes. Requests with another Host header than the served one (DNS rebinding) are refused."""
    app = FastAPI(title="static applications", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[host, "localhost"], www_redirect=False)

    @app.get("/e/{token}/{page:path}")
    async def show(token: str, page: str, request: Request) -> Response:
        episode = pages.find(token)
        visit = pages.visit(request, episode, limited(request.url.query))
        return guarded(episode, lambda: pages.show(episode, page or pages.first_page, visit))

    @app.post("/e/{token}/{action:path}")
    async def act(token: str, action: str, request: Request) -> Response:
        episode = pages.find(token)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                raise HTTPException(413, f"A form has at most {MAX_FORM_BYTES} bytes.")
        visit = pages.visit(request, episode, limited(body.decode(errors="replace")))
        name, back = PurePosixPath(action).name, pages.back(request, token)
        return guarded(episode, lambda: pages.act(episode, name, visit, back=back))

    return app


def guarded(episode: StaticEpisode, answer: Callable[[], Response]) -> Response:
    """The answer; an error of the application's own code is noted in the episode, which is then no evidence."""
    try:
        return answer()
    except HTTPException:
        raise
    except Exception as error:  # the code of an environment's author may raise anything
        logger.exception("a page or an action of the application failed")
        episode.problem = episode.problem or f"{type(error).__name__}: {error}"[:300]
        return Response("This page is broken.", status_code=500, media_type="text/plain")


def limited(encoded: str) -> dict[str, str]:
    """The fields of a form or an address, the last of each name. Raises a 400 for too many and too long ones."""
    try:
        fields = dict(parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise HTTPException(400, f"A form has at most {MAX_FIELDS} fields.") from None
    if any(len(value) > MAX_FIELD for value in fields.values()):
        raise HTTPException(400, f"A field has at most {MAX_FIELD} characters.")
    return fields
