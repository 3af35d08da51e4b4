"""Tells whether a site refused the visit: the rules of `judging.blocking` first, then a judge model if there is one.

For a whole trajectory after the episode, and for one page while it goes on. An unreadable reply decides nothing: an
unknown block is neither a block nor a free way.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.types import Trajectory
from browser_service.models import Observation
from judging.blocking import blocked_by_rules, page_is_blocked
from judging.endpoints.metered import Metered
from judging.endpoints.protocol import Part, Picture, Usage
from judging.rubric.evidence import ReadPicture, read_pictures
from judging.rubric.fencing import Fence
from judging.rubric.prompts import GOAL_LIMIT, page_parts
from judging.rubric.questions import Asker
from judging.rubric.record import Record, View, record_of, shown_pages
from judging.rubric.replies import Blocking
from judging.rubric.scoring import check_pages
from judging.rubric.wording import BLOCKING, CLOSING, OPENING
from judging.undecided import Undecided, Unjudged

MOST_PICTURES = 6
"""The last pages are shown: a block that ends an episode is at its end."""
TEXT_LIMIT = 1_500


class BlockCheck(NamedTuple):
    """Result of a check. Example: `BlockCheck(True, "page 4 is blocked (denied): ..")`."""

    blocked: bool | None
    """None when it could not be decided; `unjudged` has the code of the reason."""
    why: str
    unjudged: Unjudged | None = None
    usage: Usage = Usage()


class BlockDetector:
    """Rules, and a model where one is given. Safe for many checks at once."""

    def __init__(self, model: Metered | None, picture: ReadPicture, *, secret: bytes | None = None) -> None:
        """`picture` reads a picture by its sha256; `secret` makes the markers of the calls, None: a new one."""
        self._model, self._picture = model, picture
        self._secret = secret or secrets.token_bytes(32)

    async def check(self, trajectory: Trajectory) -> BlockCheck:
        """The check of an episode."""
        if found := blocked_by_rules(trajectory):
            return BlockCheck(True, found.why)
        if self._model is None:
            return BlockCheck(False, "no rule matches the last page")
        pictures = await read_pictures(trajectory, self._picture)
        record = record_of(trajectory, pictures)
        return await self._ask(self._model, trajectory.id, trajectory.goal, record, pictures)

    async def check_page(self, page: Observation, picture: Picture | None, *, goal: str = "") -> BlockCheck:
        """The check of one page in real time; `picture` is its screenshot."""
        if (found := page_is_blocked(page)) is not None:
            return BlockCheck(True, f"the page is blocked ({found[0]}): {found[1]}")
        if self._model is None:
            return BlockCheck(False, "no rule matches the page")
        shot = page.screenshot
        pictures = {shot.sha256: picture} if shot is not None and picture is not None else {}
        record = Record((View((1,), page, bool(pictures)),), (), 1)
        subject = f"{page.url} {shot.sha256 if shot is not None else page.text}"
        return await self._ask(self._model, subject, goal, record, pictures)

    async def _ask(
        self, model: Metered, subject: str, goal: str, record: Record, pictures: Mapping[str, Picture]
    ) -> BlockCheck:
        views = [view for view in record.views if view.is_evidence][-MOST_PICTURES:]
        if not views:
            return BlockCheck(None, "no picture and no text of the last pages can be read", "no_evidence")
        asker = Asker(model, self._secret, subject)
        try:
            reply = await asker.ask(BLOCKING, lambda fence: _parts(goal, record, views, pictures, fence), Blocking)
            needed = "the site refuses the visit" if reply.blocked else ""
            check_pages(reply.pages, record, shown_pages(views), needed=needed)
        except Undecided as error:
            return BlockCheck(None, str(error), error.code, asker.usage)
        return BlockCheck(reply.blocked, reply.reason[:500], usage=asker.usage)


def _parts(
    goal: str, record: Record, views: Sequence[View], pictures: Mapping[str, Picture], fence: Fence
) -> list[Part]:
    head = [OPENING.format(marker=fence.marker), fence.around("task", goal, GOAL_LIMIT)]
    if record.lines:
        head.append(fence.around("last actions, recorded by the browser", "\n".join(record.lines[-10:]), GOAL_LIMIT))
    parts: list[Part] = ["\n\n".join(head)]
    for view in views:
        parts += page_parts(view, pictures, fence, text_limit=TEXT_LIMIT)
    return [*parts, CLOSING.format(marker=fence.marker)]
