"""The rubric judge against a loopback model: what passes, what fails, and what stays unjudged."""

import asyncio
import hashlib
from typing import Any

import pytest
from judge_server import JudgeServer, Question, Said, reply_to, yes
from judged_episodes import SECRET, Episodes, metered, rubric_judge

from agent.types import Failure, StopReason, Trajectory
from agent.verdict import Verdict
from judging.rubric.judge import RubricJudge
from judging.rubric.settings import RubricSettings


async def verdict_on(server: JudgeServer, episodes: Episodes, one: Trajectory, **settings: Any) -> Verdict:
    model = metered(server.url)
    try:
        return await rubric_judge(model, episodes, **settings).judge(one)
    finally:
        await model.close()


def facts(question: Question, *met: bool, **fields: Any) -> Said:
    """Yes to everything but the facts, which are met as given."""
    if question.form != "Facts":
        return Said(yes(question))
    reply = reply_to(question)
    reported = [fact | {"met": each} for fact, each in zip(reply["facts"], met, strict=True)]
    return Said(yes(question, facts=reported, **fields))


async def test_all_criteria_pass(server: JudgeServer, episodes: Episodes) -> None:
    verdict = await verdict_on(server, episodes, episodes.episode(reference="42 EUR"))
    assert (verdict.reward, verdict.unjudged, verdict.flags) == (1.0, "", ())
    assert verdict.criteria == {
        "answer_supported": True,
        "answers_task": True,
        "matches_reference": True,
        "no_side_effect": True,
        "fact_1": True,
        "fact_2": True,
    }
    assert (verdict.evidence_steps, verdict.quotes[0], verdict.model) == ((2,), "42 EUR", "judge-1")
    assert (verdict.tokens_in, verdict.tokens_out) == (2_000, 200)  # one call for B, one for all facts
    assert verdict.cost == pytest.approx((2_000 + 200 * 10) / 1e6)
    assert [question.form for question in server.questions] == ["Support", "Facts"]
    assert [question.pictures for question in server.questions] == [3, 3]


async def test_the_rubric_is_not_shown_when_the_answer_is_checked(server: JudgeServer, episodes: Episodes) -> None:
    await verdict_on(server, episodes, episodes.episode(reference="41.99"))
    assert "is in the basket" not in server.questions[0].text and "41.99" not in server.questions[0].text
    assert "is in the basket" in server.questions[1].text and "41.99" in server.questions[1].text


async def test_an_invented_answer_fails_without_asking_for_the_facts(server: JudgeServer, episodes: Episodes) -> None:
    server.answer = lambda question: Said(yes(question, supported=False, pages=[]))
    verdict = await verdict_on(server, episodes, episodes.episode())
    assert (verdict.reward, verdict.criteria["answer_supported"], len(server.questions)) == (0.0, False, 1)


async def test_facts_that_were_seen_but_not_answered_do_not_pass(server: JudgeServer, episodes: Episodes) -> None:
    server.answer = lambda question: Said(
        yes(question, **({"answers_task": False} if question.form == "Support" else {}))
    )
    verdict = await verdict_on(server, episodes, episodes.episode(answer=""), partial=True)
    assert (verdict.reward, verdict.criteria["fact_1"], verdict.criteria["answers_task"]) == (0.0, True, False)


@pytest.mark.parametrize(
    ("met", "fields", "reward", "partial"),
    [
        ((True, True), {}, 1.0, 1.0),
        ((True, False), {}, 0.0, 0.5),
        ((False, False), {}, 0.0, 0.0),
        ((True, True), {"matches_reference": False}, 0.0, 0.0),
        ((True, True), {"forbidden_side_effect": True, "side_effect_pages": [2]}, 0.0, 0.0),
        ((True, False), {"site_at_fault": True}, 0.0, 0.5),
    ],
)
async def test_rewards(
    server: JudgeServer,
    episodes: Episodes,
    met: tuple[bool, ...],
    fields: dict[str, Any],
    reward: float,
    partial: float,
) -> None:
    server.answer = lambda question: facts(question, *met, **fields)
    one = episodes.episode(reference="42 EUR")
    verdict = await verdict_on(server, episodes, one)
    assert verdict.reward == reward
    assert (await verdict_on(server, episodes, one, partial=True)).reward == partial
    assert verdict.site_at_fault == fields.get("site_at_fault", False)
    assert verdict.criteria["no_side_effect"] != fields.get("forbidden_side_effect", False)


async def test_a_task_without_a_rubric_is_judged_by_its_goal(server: JudgeServer, episodes: Episodes) -> None:
    server.answer = lambda question: facts(question, False)
    verdict = await verdict_on(server, episodes, episodes.episode(rubric=()))
    assert (verdict.reward, verdict.criteria["fact_1"]) == (0.0, False)
    assert "The task is done: How much is the lamp?" in server.questions[1].text


async def test_no_answer(server: JudgeServer, episodes: Episodes) -> None:
    one = episodes.episode(answer=None)
    verdict = await verdict_on(server, episodes, one)
    assert (verdict.reward, verdict.tokens_in, server.questions) == (0.0, 0, [])
    verdict = await verdict_on(server, episodes, one, needs_answer=False)
    assert (verdict.reward, [question.form for question in server.questions]) == (1.0, ["Facts"])


async def test_a_broken_episode_and_a_blocked_one_are_not_failed(server: JudgeServer, episodes: Episodes) -> None:
    broken = Failure(side="infra", code="BROWSER_CRASHED", message="gone", retryable=True)
    verdict = await verdict_on(server, episodes, episodes.episode(failure=broken))
    assert (verdict.reward, verdict.unjudged, verdict.blocked) == (None, "broken_episode", False)
    wall = episodes.page(9, title="Just a moment...")
    verdict = await verdict_on(server, episodes, episodes.episode(episodes.page(1), wall))
    assert (verdict.reward, verdict.unjudged, verdict.blocked) == (None, "blocked", True)
    assert server.questions == []


async def test_a_failure_at_the_last_step_is_no_failure_of_the_policy(server: JudgeServer, episodes: Episodes) -> None:
    """Even with an answer on record; a failure of the policy itself is judged by what there is."""
    whole = episodes.episode()
    for side, judged in (("infra", False), ("site", False), ("judge", False), ("policy", True)):
        broken = Failure(side=side, code="X", message="gone", retryable=False)
        cut = whole.model_copy(update={"failure": broken, "stop": StopReason.FAILED, "final_observation": None})
        verdict = await verdict_on(server, episodes, cut)
        assert (verdict.reward, verdict.unjudged) == ((1.0, "") if judged else (None, "broken_episode"))
    assert server.questions[-1].pages == [1, 2], "there is no page after the last action"


async def test_a_blocked_page_that_the_agent_came_past_is_judged(server: JudgeServer, episodes: Episodes) -> None:
    pages = (episodes.page(1), episodes.page(2, title="Just a moment..."), episodes.page(3))
    verdict = await verdict_on(server, episodes, episodes.episode(*pages))
    assert (verdict.reward, verdict.blocked) == (1.0, False)


async def test_ten_megabytes_over_the_wire_decide_nothing(server: JudgeServer, episodes: Episodes) -> None:
    server.answer = lambda question: Said(yes(question, reason="x" * 10_000_000))
    verdict = await verdict_on(server, episodes, episodes.episode())
    assert (verdict.reward, verdict.unjudged) == (None, "oversized") and len(verdict.model_dump_json()) < 5_000


async def test_the_lower_confidence_of_the_replies_is_the_verdicts(server: JudgeServer, episodes: Episodes) -> None:
    server.answer = lambda question: Said(yes(question, confidence="medium" if question.form == "Facts" else "high"))
    model = metered(server.url)
    sure = RubricJudge(model, episodes.read, RubricSettings(), confidence=True, secret=SECRET)
    plain = rubric_judge(model, episodes)
    one = episodes.episode()
    verdict = await sure.judge(one)
    assert (verdict.reward, verdict.confidence) == (1.0, "medium")
    assert verdict.prompt_version.startswith("rubric-sure-") and sure.key(one) != plain.key(one)
    server.answer = lambda question: Said(yes(question))
    assert (await plain.judge(one)).confidence is None
    await model.close()


async def test_many_pages_are_chosen_first_and_the_last_one_is_always_seen(
    server: JudgeServer, episodes: Episodes
) -> None:
    pages = [episodes.page(number) for number in range(1, 31)]

    def answer(question: Question) -> Said:
        chosen = {"pages": [p for p in (3, 20) if p in question.pages]} if question.form == "Relevance" else {}
        return Said(yes(question, **chosen))

    server.answer = answer
    verdict = await verdict_on(server, episodes, episodes.episode(*pages, rubric=("x",)), most_pictures=4)
    assert [question.form for question in server.questions] == ["Relevance", "Relevance", "Support", "Facts"]
    assert server.questions[2].pages == [3, 20, 30]
    assert (verdict.reward, verdict.evidence_steps, verdict.tokens_in) == (1.0, (29,), 4_000)


async def test_the_same_picture_is_sent_once(server: JudgeServer, episodes: Episodes) -> None:
    same = episodes.page(1)
    await verdict_on(server, episodes, episodes.episode(same, same, episodes.page(2)))
    assert (server.questions[0].pictures, server.questions[0].pages) == (2, [1, 2, 3])


async def test_missing_pictures(server: JudgeServer, episodes: Episodes) -> None:
    one = episodes.episode(episodes.page(1), episodes.page(2, text="The lamp: 42 EUR"), episodes.page(3))
    first, *_ = episodes.pictures
    del episodes.pictures[first]
    assert (await verdict_on(server, episodes, one)).reward == 1
    assert server.questions[0].pages == [2, 3]
    episodes.pictures.clear()
    assert (await verdict_on(server, episodes, one)).reward == 1
    assert (server.questions[2].pages, server.questions[2].pictures) == ([2], 0)
    blank = episodes.episode(episodes.page(1, picture=False), episodes.page(2, picture=False))
    assert (await verdict_on(server, episodes, blank)).unjudged == "no_evidence"


async def test_strange_episodes(server: JudgeServer, episodes: Episodes) -> None:
    long = [episodes.page(number, text="x" * 20_000) for number in range(200)]
    assert (await verdict_on(server, episodes, episodes.episode(*long))).reward == 1
    assert len(server.questions[-1].text) < 150_000
    alone = episodes.episode(episodes.page(1, title="ラーメン 🍜", text="שלום"), answer="ラーメンは 900 円です")
    assert (alone.steps, (await verdict_on(server, episodes, alone)).reward) == ((), 1)
    assert "ラーメンは" in server.questions[-1].text and "שלום" in server.questions[-1].text


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ("Support", {"pages": []}),
        ("Support", {"pages": [99]}),
        ("Support", {"pages": [0]}),
        ("Facts", {"facts": []}),
        ("Facts", {"matches_reference": True}),
        ("Facts", {"site_at_fault": True}),
        ("Facts", {"forbidden_side_effect": True}),
        ("Facts", {"side_effect_pages": [-1]}),
    ],
)
async def test_contradictions_stay_unjudged(
    server: JudgeServer, episodes: Episodes, form: str, fields: dict[str, Any]
) -> None:
    server.answer = lambda question: Said(yes(question, **(fields if question.form == form else {})))
    verdict = await verdict_on(server, episodes, episodes.episode())
    assert verdict.reward is None
    assert verdict.unjudged in ("contradiction", "missing_evidence")
    assert ("evidence_missing" in verdict.flags) == (verdict.unjudged == "missing_evidence")


@pytest.mark.parametrize("numbers", [(1, 1), (1, 3), (2,), (1, 2, 3)])
async def test_facts_must_be_decided_once_each(
    server: JudgeServer, episodes: Episodes, numbers: tuple[int, ...]
) -> None:
    def answer(question: Question) -> Said:
        if question.form != "Facts":
            return Said(yes(question))
        fact = reply_to(question)["facts"][0]
        return Said(yes(question, facts=[fact | {"number": number} for number in numbers]))

    server.answer = answer
    assert (await verdict_on(server, episodes, episodes.episode())).unjudged == "contradiction"


async def test_order_and_concurrency_change_no_verdict(server: JudgeServer, episodes: Episodes) -> None:
    # The reply depends on the whole prompt, as a real model's does: a prompt that changes would change it.
    server.answer = lambda question: facts(question, *(hash_of(question) >> n & 1 == 1 for n in range(2)))
    many = [episodes.episode(name=f"t.1-m{member}", answer=f"{member} EUR") for member in range(12)]
    results = []
    for concurrency, order in ((1, many), (12, many[::-1])):
        model = metered(server.url, concurrency=concurrency)
        judge = rubric_judge(model, episodes)
        verdicts = await asyncio.gather(*map(judge.judge, order))
        results.append({verdict.trajectory_id: (verdict.reward, verdict.criteria, verdict.key) for verdict in verdicts})
        await model.close()
    assert results[0] == results[1]
    assert len({reward for reward, *_ in results[0].values()}) == 2


def hash_of(question: Question) -> int:
    return hashlib.sha256(question.text.encode()).digest()[0]
