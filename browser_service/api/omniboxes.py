"""The routes of the old wire format (OmniBoxes, as WebGym and AsyncWebRL speak it) on one live lease.

Kept: paths, parameters, command names, `{"instance_id", "node"}`, header `x-api-key`, and the body of a failed
/execute: `{"status": "error", "message": "Failed to execute command: ..."}`. Better: calls on a lease that is over are
refused, failures have error statuses, /metadata is JSON with title and url, /probe asks the browser. OmniBoxes answers
500 to every command that fails; its clients check for 200 alone, so here the status says which side is at fault. Their
/get is in `front.py`, their /reset in `session.py`.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, cast, get_args

from fastapi import APIRouter, Request, Response
from pydantic import Field, TypeAdapter, ValidationError

from browser_service.api.old_clients import as_meant, has_happened, is_empty, lenient
from browser_service.api.request_check import bad_request
from browser_service.errors import BadRequest
from browser_service.models import Action, ActionError, InteractionMode, Mark, ObserveRequest, Wire
from browser_service.models.tiers import OldMetadata, OldProbe
from browser_service.session.browser import LeasedBrowser
from browser_service.tiers.service import service_of

router = APIRouter(tags=["OmniBoxes"])
ACTION: TypeAdapter[Action] = TypeAdapter(Action)
ACTIONS: tuple[type[Wire], ...] = get_args(get_args(Action)[0])
OF_KIND: dict[str, type[Wire]] = {kind.model_fields["kind"].default: kind for kind in ACTIONS}
KINDS = frozenset(OF_KIND)


@router.get("/screenshot", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def screenshot(
    request: Request,
    instance_id: str,
    node: str | None = None,
    interaction_mode: str = "set_of_marks",
    token: str | None = None,
) -> Response:
    """A PNG of the viewport; with set_of_marks (or an unknown mode) its numbers are valid until the next such one."""
    sessions = service_of(request).sessions
    sessions.check_node(node)
    async with sessions.use(instance_id, token) as (browser, _):
        observation = await browser.observe(_pictured(interaction_mode))
    assert observation.screenshot is not None and observation.screenshot.data is not None
    return Response(base64.b64decode(observation.screenshot.data), media_type=observation.screenshot.media_type)


@router.get("/metadata", responses={200: {"model": OldMetadata}}, response_model=None)
async def metadata(request: Request, instance_id: str, node: str | None = None, token: str | None = None) -> Response:
    """Viewport, title and address."""
    sessions = service_of(request).sessions
    sessions.check_node(node)
    async with sessions.use(instance_id, token) as (browser, _):
        seen = await browser.observe(ObserveRequest(screenshot=False, marks=False))
    size = {"width": seen.viewport.width, "height": seen.viewport.height}
    return _json({**size, "title": seen.title, "url": seen.url})


@router.get("/probe", responses={200: {"model": OldProbe}, 500: {"model": OldProbe}}, response_model=None)
async def probe(request: Request, instance_id: str, node: str | None = None, token: str | None = None) -> Response:
    """Answers if the lease's page responds within a second. A busy page does not, and its lease goes on."""
    sessions = service_of(request).sessions
    sessions.check_node(node)
    async with sessions.use(instance_id, token) as (browser, _):
        is_answering = await browser.answers()
    if not is_answering:
        return _json({"status": "error", "message": "Probe failed"}, 500)
    return _json({"status": "success", "message": "Probe successful"})


def _execute_schema() -> dict[str, Any]:
    """JSON schema of the body of /execute, for people and generated clients; the body itself is parsed by hand."""
    names = {name: {"type": "string"} for name in ("instance_id", "node", "token")}
    commands = {name: kind.model_json_schema() for name, (kind, _) in LOOKS.items()}
    for kind in ACTIONS:
        schema = kind.model_json_schema()
        schema["properties"].pop("kind")
        commands[kind.model_fields["kind"].default] = schema
    return {"type": "object", "required": ["instance_id"], "properties": {**names, **commands}}


EXECUTE: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}}


@router.post("/execute", openapi_extra=EXECUTE, responses={200: {"model": dict[str, Any]}}, response_model=None)
async def execute(request: Request) -> Response:
    """One command: `{"node", "instance_id", "<command>": {arguments}}`, in any order of keys."""
    body = _body(await request.body())
    sessions = service_of(request).sessions
    sessions.check_node(body.get("node"))
    try:
        name, arguments = as_meant(*_command(body))
    except BadRequest as error:
        return _refused(error)
    async with sessions.use(body["instance_id"], body.get("token")) as (browser, _):
        if is_empty(name, arguments):
            return _done("no key was named: nothing was pressed")
        kind = LOOKS[name][0] if name in LOOKS else OF_KIND[name]
        arguments, note = lenient(arguments, kind, browser.viewport)
        try:
            wanted = kind.model_validate(arguments) if name in LOOKS else _action(name, arguments)
        except ValidationError as error:
            return _refused(bad_request(error, name))
        if name in LOOKS:
            return _json(await LOOKS[name][1](browser, wanted))
        _, failed, _ = await browser.step(cast(Action, wanted), NOTHING)
    if failed is None:
        return _done(note)
    return _done(failed.message) if has_happened(name, failed) else _without_effect(failed, arguments)


def _done(note: str) -> Response:
    """The answer to a command that was carried out; `note` states deviations from the request."""
    return _json({"status": "success", "message": note} if note else {"status": "success"})


def _pictured(interaction_mode: str) -> ObserveRequest:
    """The picture of this mode: with marks, it also lists the options of the select that was clicked last."""
    with_marks = interaction_mode != "coordinates"
    return ObserveRequest(marks=with_marks, draw_marks=with_marks, open_options=with_marks)


NOT_COMMANDS = frozenset({"node", "instance_id", "token"})
NOTHING = ObserveRequest(screenshot=False, marks=False)


def _body(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is no JSON: {error}") from None
    if not isinstance(body, dict) or not isinstance(body.get("instance_id"), str):
        raise BadRequest('the body must be {"node", "instance_id", "<command>": {...}}')
    if not all(isinstance(body.get(name), str | None) for name in ("node", "token")):
        raise BadRequest("node and token must be strings")
    return body


def _command(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    known = [name for name in body if name in KINDS or name in LOOKS]
    if len(known) > 1:
        raise BadRequest(f"Only one command per request is supported, found {', '.join(known)}")
    if not known:
        found = ", ".join(name for name in body if name not in NOT_COMMANDS) or "none"
        raise BadRequest(f"Unsupported command: {found[:200]}; known are {', '.join(sorted(KINDS | LOOKS.keys()))}")
    name, arguments = known[0], body[known[0]]
    if not isinstance(arguments, dict | None):
        raise BadRequest(f"the arguments of {name} must be an object such as {{}}, found {json.dumps(arguments)[:100]}")
    return name, arguments or {}


def _action(name: str, arguments: dict[str, Any]) -> Action:
    return ACTION.validate_python({**arguments, "kind": name})


class _NoArguments(Wire):
    pass


class _PageText(Wire):
    n_lines: Annotated[int, Field(ge=0, le=100_000)] = 100


class _TakeScreenshot(Wire):
    interaction_mode: InteractionMode = "set_of_marks"


async def _page_metadata(browser: LeasedBrowser, _: _NoArguments) -> dict[str, Any]:
    seen = await browser.observe(NOTHING)
    said = {name: value for name, value in (await browser.metadata()).items() if value}
    return {"title": seen.title or "Unknown Page", "url": seen.url, **said}


async def _page_text(browser: LeasedBrowser, wanted: _PageText) -> dict[str, Any]:
    seen = await browser.observe(ObserveRequest(screenshot=False, marks=False, text=True))
    lines = [line for line in (seen.text or "").splitlines() if line.strip()]
    return {"text": "\n".join(lines[: wanted.n_lines])}


async def _rects(browser: LeasedBrowser, _: _NoArguments) -> dict[str, Any]:
    """The elements of the last set-of-marks screenshot under their displayed numbers, others under higher ones."""
    return _regions((one["tag"], Mark.model_validate(one["mark"])) for one in await browser.survey())


async def _screenshot_info(browser: LeasedBrowser, _: _NoArguments) -> dict[str, Any]:
    if (seen := browser.seen) is None:
        return {"error": "No screenshot info available"}
    unseen = [one for one in await browser.survey() if one["where"] != "in view"]
    marks = [(seen.tags[mark.id], mark) for mark in seen.marks]
    marks += [(one["tag"], Mark.model_validate(one["mark"])) for one in unseen]
    return {
        "visible_rects": [str(mark.id) for mark in seen.marks],
        "rects_above": [str(one["mark"]["id"]) for one in unseen if one["where"] == "above"],
        "rects_below": [str(one["mark"]["id"]) for one in unseen if one["where"] == "below"],
        "interactive_regions": _regions(marks),
        # A number never means two elements, so the displayed number is also the original one.
        "id_mapping": {str(mark.id): str(mark.id) for _, mark in marks},
    }


async def _take_screenshot(browser: LeasedBrowser, wanted: _TakeScreenshot) -> dict[str, Any]:
    await browser.observe(_pictured(wanted.interaction_mode))
    return {"status": "screenshot_taken"}


Look = Callable[[LeasedBrowser, Any], Awaitable[dict[str, Any]]]
LOOKS: dict[str, tuple[type[Wire], Look]] = {
    "get_page_metadata": (_NoArguments, _page_metadata),
    "get_webpage_text": (_PageText, _page_text),
    "get_interactive_rects": (_NoArguments, _rects),
    "get_screenshot_info": (_NoArguments, _screenshot_info),
    "screenshot": (_TakeScreenshot, _take_screenshot),
}

EXECUTE["requestBody"]["content"]["application/json"]["schema"] = _execute_schema()


def _regions(marks: Iterable[tuple[str, Mark]]) -> dict[str, Any]:
    regions = {}
    for tag, mark in marks:
        left, top, right, bottom = mark.box.x, mark.box.y, mark.box.x + mark.box.width, mark.box.y + mark.box.height
        corners = dict(
            x=left, y=top, width=mark.box.width, height=mark.box.height, top=top, right=right, bottom=bottom, left=left
        )
        regions[str(mark.id)] = {
            "tag_name": tag,
            "role": mark.role,
            "aria_name": mark.name,
            "v_scrollable": mark.scrollable,
            "rects": [corners],
        }
    return regions


NOT_FOUND = frozenset({"UNKNOWN_MARK", "STALE_MARK", "NOT_REACHABLE"})


def _without_effect(error: ActionError, arguments: dict[str, Any]) -> Response:
    """Old clients read only the status: any other than 200 means that the command had no effect."""
    status = 502 if error.fault == "site" else 400
    message = error.message
    if error.code in NOT_FOUND and "id" in arguments:
        message = f"Element with identifier {arguments['id']} not found or not visible: {message}"
    return _failure(status, message, error.code, error.fault)


def _refused(error: BadRequest) -> Response:
    return _failure(error.status, error.detail, error.code, error.fault)


def _failure(status: int, message: str, code: str, fault: str) -> Response:
    """The answer to a command that was not carried out, with the fields of OmniBoxes and of this service."""
    said = {"status": "error", "message": f"Failed to execute command: {message}", "detail": message}
    return _json({**said, "code": code, "fault": fault}, status)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content, separators=(",", ":")), status, media_type="application/json")
