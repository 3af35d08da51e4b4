"""Blocked pages: found by rules where the defence shows itself, by a model where not, and never taken for a failure."""

import os
from pathlib import Path
from typing import Any

import pytest
from judge_server import JudgeServer, Said, yes
from judged_episodes import SECRET, Episodes, metered, rubric_judge

from browser_service.models import Box, Mark, Observation
from judging.block_detector import BlockCheck, BlockDetector
from judging.blocking import blocked_by_rules, page_is_blocked
from judging.endpoints.protocol import Picture
from judging.webgym import WebGymEvaluator

GOLDEN = Path(__file__).parent / "golden" / "rubric-blocking.txt"

BLOCKED: list[tuple[str, dict[str, Any]]] = [
    ("challenge", {"title": "Just a moment..."}),
    ("challenge", {"title": "Attention Required! | Cloudflare", "text": "Sorry, you have been blocked"}),
    ("challenge", {"title": "shop", "text": "Checking if the site connection is secure"}),
    ("challenge", {"title": "shop", "url": "https://shop/cdn-cgi/challenge-platform/h/b"}),
    ("challenge", {"title": "shop", "ax_tree": 'Iframe "Widget containing a Cloudflare security challenge"'}),
    ("captcha", {"title": "Robot Check"}),
    ("captcha", {"title": "google", "url": "https://www.google.com/sorry/index?continue=x"}),
    ("captcha", {"title": "", "url": "https://geo.captcha-delivery.com/captcha/?id=1"}),
    ("captcha", {"title": "shop", "text": "Press & Hold to confirm you are a human"}),
    ("captcha", {"title": "shop", "ax_tree": 'Iframe "recaptcha challenge expires in two minutes"'}),
    ("captcha", {"title": "shop", "text": "", "marks": ["I'm not a robot"]}),
    ("denied", {"title": "Access Denied", "text": "You don't have permission to access this. Reference #18.2f3a5b"}),
    ("denied", {"title": "403 Forbidden"}),
    ("denied", {"title": "shop", "text": "This content is not available in your country."}),
    ("denied", {"title": "shop", "status": 403}),
    ("rate_limit", {"title": "shop", "status": 429, "text": ""}),
    ("rate_limit", {"title": "429 Too Many Requests"}),
    ("rate_limit", {"title": "error", "text": "Too many requests, try again later."}),
    ("login_wall", {"title": "Forum", "text": "Please log in to continue."}),
]
OPEN: list[dict[str, Any]] = [
    {"title": "Lamps"},
    {"title": "Log in", "text": "User name Password Log in"},
    {"title": "CAPTCHA - Wikipedia", "text": "A CAPTCHA is ... verify you are human ... " + "x" * 2_000},
    {"title": "Just a moment in time: a novel", "text": "A story. " * 300},
    {"title": "Sign up", "text": None, "marks": ["I'm not a robot", *map(str, range(20))]},
    {"title": "403 days at sea", "text": "A story. " * 300},
    {"title": "404 Not Found", "text": "Not Found"},
    {"title": "shop", "status": 403, "text": "A shop with much to say. " * 100},
    {"title": "shop", "status": 404},
    {"title": "Error", "text": "Internal server error"},
]


def page(episodes: Episodes, number: int = 7, *, marks: list[str] | None = None, **fields: Any) -> Observation:
    box = Box(x=0, y=0, width=9, height=9)
    named = [Mark(id=n, role="checkbox", name=name, box=box) for n, name in enumerate(marks or [], 1)]
    return episodes.page(number, marks=named, **fields)


@pytest.mark.parametrize(("kind", "fields"), BLOCKED)
def test_the_pages_of_the_common_defences(episodes: Episodes, kind: str, fields: dict[str, Any]) -> None:
    found = page_is_blocked(page(episodes, **fields))
    assert found is not None and found[0] == kind


@pytest.mark.parametrize("fields", OPEN)
def test_ordinary_pages_are_not_blocked(episodes: Episodes, fields: dict[str, Any]) -> None:
    assert page_is_blocked(page(episodes, **fields)) is None


def test_only_the_end_of_an_episode_counts(episodes: Episodes) -> None:
    wall = page(episodes, title="Access Denied")
    passed = episodes.episode(episodes.page(1), wall, episodes.page(3))
    assert blocked_by_rules(passed) is None
    ended = blocked_by_rules(episodes.episode(episodes.page(1), wall))
    assert ended is not None and (ended.kind, ended.page) == ("denied", 2)
    unseen = episodes.episode(episodes.page(1), wall, episodes.page(3)).model_copy(update={"final_observation": None})
    assert blocked_by_rules(unseen) is not None  # the browser broke before the page after the last action
    assert blocked_by_rules(unseen.model_copy(update={"steps": ()})) is None


async def test_without_a_model_only_the_rules_decide(episodes: Episodes) -> None:
    detector = BlockDetector(None, episodes.read)
    assert (await detector.check(episodes.episode(episodes.page(1), page(episodes, title="Access Denied")))).blocked
    assert (await detector.check(episodes.episode())).blocked is False
    assert (await detector.check_page(episodes.page(1), None)).blocked is False


async def checked(server: JudgeServer, episodes: Episodes, *pages: Observation) -> BlockCheck:
    model = metered(server.url)
    try:
        return await BlockDetector(model, episodes.read, secret=SECRET).check(episodes.episode(*pages))
    finally:
        await model.close()


async def test_a_model_sees_what_no_rule_knows(server: JudgeServer, episodes: Episodes) -> None:
    check = await checked(server, episodes)
    assert (check.blocked, check.why, check.usage.tokens_in) == (True, "seen", 1_000)
    assert (server.questions[0].form, server.questions[0].pictures) == ("Blocking", 3)
    server.answer = lambda question: Said(yes(question, blocked=False, pages=[]))
    assert (await checked(server, episodes)).blocked is False
    await checked(server, episodes, *[episodes.page(number) for number in range(1, 31)])
    assert server.questions[-1].pages == [25, 26, 27, 28, 29, 30]


async def test_the_prompt_is_the_golden_one(server: JudgeServer, episodes: Episodes) -> None:
    await checked(server, episodes, episodes.page(1, text="Lamps"), episodes.page(2))
    question = server.questions[0]
    text = "\n----\n".join([question.system, *question.texts]) + "\n"
    if os.environ.get("RENEW_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.parametrize(
    ("fields", "unjudged"),
    [({"pages": []}, "contradiction"), ({"pages": [9]}, "missing_evidence"), ({"blocked": "YES"}, "wrong_form")],
)
async def test_a_reply_without_evidence_decides_nothing(
    server: JudgeServer, episodes: Episodes, fields: dict[str, Any], unjudged: str
) -> None:
    server.answer = lambda question: Said(yes(question, **fields))
    check = await checked(server, episodes)
    assert (check.blocked, check.unjudged) == (None, unjudged)
    assert check.usage.tokens_in == 1_000


async def test_words_decide_nothing(server: JudgeServer, episodes: Episodes) -> None:
    for words in ("**Blocked**: YES", "2. Blocked: NO", ""):
        server.answer = lambda question, words=words: Said(words)
        assert (await checked(server, episodes)).blocked is None
    server.answer = lambda question: Said("", status=500)
    assert (await checked(server, episodes)).unjudged == "unavailable"


async def test_one_page_in_real_time(server: JudgeServer, episodes: Episodes) -> None:
    model = metered(server.url)
    detector = BlockDetector(model, episodes.read)
    now = episodes.page(1)
    assert (await detector.check_page(page(episodes, title="Robot Check"), None)).blocked
    assert server.questions == []
    check = await detector.check_page(now, Picture("image/png", b"png"), goal="Buy a lamp")
    assert (check.blocked, server.questions[0].pictures) == (True, 1)
    assert (await detector.check_page(now, None)).unjudged == "no_evidence"
    await model.close()


async def test_webgyms_two_calls(server: JudgeServer, episodes: Episodes) -> None:
    model = metered(server.url)
    evaluator = WebGymEvaluator(rubric_judge(model, episodes), BlockDetector(None, episodes.read))
    won, wall = episodes.episode(), episodes.episode(episodes.page(1), page(episodes, title="Access Denied"))
    assert (await evaluator.get_verifiable_reward(won), await evaluator.check_if_blocked(won)) == (1.0, False)
    assert (await evaluator.get_verifiable_reward(wall), await evaluator.check_if_blocked(wall)) == (None, True)
    for text in ("NOT SUCCESS", "Verdict: FAILURE", "not success", "I can't help with that", ""):  # WebGym gives 1
        server.answer = lambda question, text=text: Said(text)
        assert await evaluator.get_verifiable_reward(won) is None
    await model.close()
