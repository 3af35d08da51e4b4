"""Blocked visits: challenges, refused access, walls. Cheap rules on the recorded pages first, then a judge model.

A blocked episode is not a failed one: the policy could not have done better, so it has no reward. The rules know the
pages that the common defences show, and want two signs of a page that has much else on it.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from agent.types import StopReason, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation

Kind = Literal["captcha", "challenge", "denied", "rate_limit", "login_wall", "model"]

SHORT_PAGE = 1_500
"""Characters of text up to which a page has nothing but its refusal."""
FEW_MARKS = 10
"""Interactive elements up to which a page has nothing but its challenge."""
TITLES: tuple[tuple[Kind, str], ...] = (
    ("challenge", r"just a moment\b|attention required! \| cloudflare|ddos-guard|checking your browser|pardon our interruption"),
    ("captcha", r"robot check|are you (?:a )?(?:human|robot)\b|human verification|verify (?:that )?you are (?:a )?human|captcha\b"),
    ("denied", r"access (?:to this page has been )?denied|(?:error )?403\b|403 forbidden|forbidden$|request blocked|you have been blocked"),
    ("rate_limit", r"(?:error )?429\b|too many requests"),
)  # fmt: skip
TEXTS: tuple[tuple[Kind, str], ...] = (
    ("captcha", r"verify(?:ing)? (?:that )?you are (?:a )?human|i'?m not a robot|complete the (?:captcha|security check)|"
                r"press (?:&|and) hold to confirm|unusual traffic from your (?:computer )?network|select all (?:images|squares) with"),
    ("challenge", r"checking (?:if the site connection is secure|your browser before)|enable javascript and cookies to continue|"
                  r"performance & security by cloudflare|cloudflare ray id"),
    ("denied", r"you don'?t have permission to access|access to this (?:page|site|resource) (?:has been|is) (?:denied|blocked|forbidden)|"
               r"sorry, you have been blocked|your ip(?: address)? has been (?:blocked|banned)|not available in your (?:country|region)|"
               r"request (?:was|has been) blocked|reference #\d+\.[0-9a-f]{6,}"),
    ("rate_limit", r"too many requests|rate limit exceeded|you have been rate.?limited"),
    ("login_wall", r"(?:you must|you need to|please) (?:log|sign) ?in (?:to|before) (?:continu|proceed|view|access|see)"),
)  # fmt: skip
ADDRESSES: tuple[tuple[Kind, str], ...] = (
    ("challenge", r"/cdn-cgi/(?:challenge-platform|l/chk_)|__cf_chl_|[?&]__cf_chl"),
    ("captcha", r"^https?://(?:[\w-]+\.)*(?:captcha-delivery\.com|perfdrive\.com|hcaptcha\.com)(?:[/:?]|$)|/sorry/index\?|/errors/validatecaptcha"),
)  # fmt: skip
STATUSES: dict[int, Kind] = {403: "denied", 429: "rate_limit", 451: "denied"}
"""HTTP statuses of refusals (RFC 9110; 429: RFC 6585; 451: RFC 7725). A page with much text of its own may have one."""
ENDING: frozenset[Kind] = frozenset({"captcha", "challenge", "denied", "rate_limit"})
"""Kinds that end an episode while it goes on. An agent may turn back from a log-in wall: it is a page among others."""
FRAMES: tuple[tuple[Kind, str], ...] = (
    ("captcha", r"iframe[^\n]{0,80}(?:re|h)captcha|recaptcha challenge|hcaptcha (?:challenge|checkbox)|arkose|funcaptcha"),
    ("challenge", r"iframe[^\n]{0,80}(?:cloudflare|turnstile)|widget containing a cloudflare security challenge"),
)  # fmt: skip


class Blocked(NamedTuple):
    """A blocked page. Example: `Blocked("denied", page=4, why='page 4: the title "Access Denied"')`."""

    kind: Kind
    page: int
    """Page number from 1."""
    why: str


def page_is_blocked(page: Observation) -> tuple[Kind, str] | None:
    """The kind and the sign of a blocked page, None for any other. For one page in real time: no call, microseconds.

    A title or an address decides alone on a page with little text; a phrase needs such a page, too, because an article
    about CAPTCHAs has all the phrases.
    """
    text = page.text if page.text is not None else page.ax_tree
    is_short = text is None or len(text) <= SHORT_PAGE
    if not is_short:
        return None
    if page.status in STATUSES:
        return STATUSES[page.status], f"the HTTP status {page.status}"
    # A form with many elements may have an "I'm not a robot" of its own.
    marks = "\n".join(mark.name for mark in page.marks) if len(page.marks) <= FEW_MARKS else ""
    for name, patterns, where, at_start in (
        ("title", TITLES, page.title, True),
        ("address", ADDRESSES, page.url, False),
        ("text", TEXTS, f"{text or ''}\n{marks}", False),
        ("frame", FRAMES, page.ax_tree or "", False),
    ):
        for kind, pattern in patterns:
            begins = re.match if at_start else re.search
            if found := begins(pattern, where.strip(), re.IGNORECASE):
                return kind, f'the {name} "{found[0][:80]}"'
    return None


def sign_of_block(page: Observation) -> str | None:
    """The sign that a page ends the visit, None for any other page. `agent.episodes.watch.Detect` fits."""
    found = page_is_blocked(page)
    return f"{found[0]}: {found[1]}" if found is not None and found[0] in ENDING else None


def blocked_by_rules(trajectory: Trajectory) -> Blocked | None:
    """The block that an episode ended at. A block in the middle that the agent came past does not count.

    An episode that was ended as blocked stays so under later rules. Otherwise only the last page decides: the page after
    the last action, or the last one that was seen.
    """
    pages = pages_of(trajectory)
    if not pages:
        return None
    found = page_is_blocked(pages[-1])
    if found is None and trajectory.stop is StopReason.BLOCKED:
        found = "denied", "the episode was ended there as blocked"
    if found is None:
        return None
    kind, sign = found
    return Blocked(kind, len(pages), f"page {len(pages)} is blocked ({kind}): {sign}")


def blocked_verdict(trajectory: Trajectory) -> Verdict:
    """The verdict on an episode that was ended as blocked: no reward."""
    found = blocked_by_rules(trajectory)
    why = found.why if found else "the episode was ended as blocked before a page was seen"
    return Verdict(trajectory_id=trajectory.id, reward=None, evidence=why[:500], judge="blocking", blocked=True)


def pages_of(trajectory: Trajectory) -> Sequence[Observation]:
    """The pages of an episode in their order."""
    pages = [step.observation for step in trajectory.steps]
    return pages if trajectory.final_observation is None else [*pages, trajectory.final_observation]
