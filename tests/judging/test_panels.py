"""Panels of judge models: who is asked, who decides, and what a disagreement leaves behind."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_server import JudgeServer, Question, Said, reply_to, yes
from judged_episodes import Episodes
from judged_runs import GROUPS, MEMBERS, Judge, asking, config_file, played

from agent.types import Trajectory
from agent.verdict import Confidence, Verdict
from flows.policy.waiting import StageError
from flows.settings.loop_config import ConfigError, load_config
from flows.stages.judge import judge_stage
from judging.opening import ANSWERS
from judging.panels.panel import MEMBERS_DISAGREE, Panel
from judging.panels.settings import PanelSettings, Rule
from judging.panels.unsure import UNUSABLE, why_unsure
from judging.undecided import Unjudged
from judging.verdicts import VerdictFile, read_verdict_file
from storage.stages import Stage
from storage.verdicts import read_verdicts

YES, NO, BLOCKED, GARBLED, AWAY, NOTHING = "yes", "no", "blocked", "garbled", "away", "nothing"
SAID: dict[str, dict[str, Any]] = {
    YES: {"reward": 1.0},
    NO: {"reward": 0.0},
    BLOCKED: {"reward": None, "blocked": True, "unjudged": "blocked"},
    GARBLED: {"reward": None, "unjudged": "not_json"},
    AWAY: {"reward": None, "unjudged": "unavailable"},
    NOTHING: {"reward": None, "unjudged": "no_evidence"},
}
ONE = Episodes().episode()


class Member:
    """A judge with one verdict, which counts its calls."""

    def __init__(self, name: str, said: str, **fields: Any) -> None:
        self.name, self.fields, self.calls = "rubric", SAID[said] | fields, 0
        self.member = name

    def key(self, trajectory: Trajectory) -> str:
        return f"key-{self.member}"

    async def judge(self, trajectory: Trajectory) -> Verdict:
        self.calls += 1
        own: dict[str, Any] = {"model": f"m-{self.member}", "tokens_in": 10, "cost": 0.5, "key": f"key-{self.member}"}
        return Verdict(trajectory_id=trajectory.id, judge=self.name, evidence="so", **own | self.fields)


async def decided(rule: Rule, said: Iterable[str], **fields: Any) -> tuple[Verdict, list[int]]:
    """The panel's verdict on these verdicts of its members, and how often each was asked."""
    members = {name: Member(name, each, **fields) for name, each in zip("abc", said, strict=False)}
    panel = Panel(PanelSettings(rule=rule, members=list(members)), members)
    return await panel.judge(ONE), [member.calls for member in members.values()]


@pytest.mark.parametrize(
    ("rule", "said", "reward", "unjudged", "calls"),
    [
        ("agree", (YES, YES), 1.0, "", [1, 1]),
        ("agree", (NO, NO), 0.0, "", [1, 1]),
        ("agree", (YES, NO), None, "disagreement", [1, 1]),
        ("agree", (NO, YES), None, "disagreement", [1, 1]),
        ("agree", (BLOCKED, NO), None, "disagreement", [1, 1]),
        ("agree", (GARBLED, YES), None, "not_json", [1, 0]),
        ("agree", (YES, AWAY), None, "unavailable", [1, 1]),
        ("best_of_three", (NO, YES, YES), 0.0, "", [1, 0, 0]),
        ("best_of_three", (YES, YES, NO), 1.0, "", [1, 1, 0]),
        ("best_of_three", (YES, NO, YES), 1.0, "", [1, 1, 1]),
        ("best_of_three", (YES, NO, NO), 0.0, "", [1, 1, 1]),
        ("best_of_three", (GARBLED, YES, YES), 1.0, "", [1, 1, 1]),
        ("best_of_three", (GARBLED, NO, YES), 0.0, "", [1, 1, 0]),
        ("best_of_three", (YES, GARBLED, NO), None, "not_json", [1, 1, 1]),
        ("best_of_three", (YES, NO, GARBLED), None, "not_json", [1, 1, 1]),
        ("best_of_three", (YES, NO, BLOCKED), None, "disagreement", [1, 1, 1]),
        ("best_of_three", (AWAY, YES, YES), None, "unavailable", [1, 0, 0]),
        ("best_of_three", (YES, AWAY, YES), None, "unavailable", [1, 1, 0]),
        ("best_of_three", (NOTHING, YES, YES), None, "no_evidence", [1, 0, 0]),
        ("escalate", (YES, NO), 1.0, "", [1, 0]),
        ("escalate", (NO, YES), 0.0, "", [1, 0]),
        ("escalate", (GARBLED, YES), 1.0, "", [1, 1]),
        ("escalate", (GARBLED, AWAY), None, "unavailable", [1, 1]),
        ("escalate", (AWAY, YES), None, "unavailable", [1, 0]),
        ("escalate", (NOTHING, YES), None, "no_evidence", [1, 0]),
    ],
)
async def test_the_rules(
    rule: Rule, said: tuple[str, ...], reward: float | None, unjudged: str, calls: list[int]
) -> None:
    verdict, asked = await decided(rule, said)
    assert (verdict.reward, verdict.unjudged, asked) == (reward, unjudged, calls)
    assert [vote.member for vote in verdict.votes] == [name for name, count in zip("abc", calls, strict=False) if count]
    assert (verdict.judge, verdict.cost, verdict.tokens_in) == ("panel", 0.5 * sum(calls), 10 * sum(calls))
    outcomes = {vote.outcome for vote in verdict.votes} - {"unjudged"}
    assert (MEMBERS_DISAGREE in verdict.flags) == (len(outcomes) > 1)
    for vote in verdict.votes:
        assert f"{vote.member}: {vote.outcome}" in verdict.evidence and vote.key == f"key-{vote.member}"


@given(st.sampled_from(get_args(Rule)), st.lists(st.sampled_from(list(SAID)), min_size=3, max_size=3))
async def test_no_panel_gives_a_success_that_its_rule_does_not_have(rule: Rule, said: list[str]) -> None:
    size = 3 if rule == "best_of_three" else 2
    verdict, calls = await decided(rule, said[:size])
    heard = [each for each, count in zip(said, calls, strict=False) if count]
    assert heard == said[: len(heard)] and max(calls) == 1
    if verdict.reward == 1:
        assert heard.count(YES) >= (1 if rule == "escalate" else 2) and (rule != "agree" or set(heard) == {YES})
    else:
        assert verdict.reward in (0.0, None) and (verdict.reward is None) == (verdict.unjudged != "")


async def test_of_rewards_in_parts_the_lowest_holds() -> None:
    members = {"a": Member("a", NO, reward=0.75), "b": Member("b", NO, reward=0.5)}
    verdict = await Panel(PanelSettings(rule="agree", members=["a", "b"]), members).judge(ONE)
    assert (verdict.reward, verdict.flags) == (0.5, ())


def said(fields: dict[str, Any]) -> Verdict:
    return Verdict(trajectory_id="t", judge="rubric", **fields)


def test_unsure_is_a_bad_reply_little_confidence_or_a_success_on_a_page_that_addresses_the_judge() -> None:
    steered: dict[str, Any] = {"flags": ("page_addresses_judge",)}
    for reward, own, sure in itertools.product((0.0, 1.0), get_args(Confidence), get_args(Confidence)):
        order = get_args(Confidence)
        unsure = why_unsure(said({"reward": reward, "confidence": own}), sure) != ""
        assert unsure == (order.index(own) < order.index(sure))
    assert why_unsure(said({"reward": 1.0} | steered), "low") and not why_unsure(said({"reward": 0.0} | steered), "low")
    for code in get_args(Unjudged):
        assert (why_unsure(said({"reward": None, "unjudged": code}), "high") != "") == (code in UNUSABLE)
    assert not why_unsure(said(SAID[BLOCKED]), "high")
    assert set(get_args(Unjudged)) > UNUSABLE


def with_panel(server: JudgeServer, rule: Rule, *names: str, **panel: Any) -> Judge:
    models = {name: {"model": f"m-{name}", "base_url": server.url, "deadline_s": 5} for name in names}
    return {"chain": ["answer", "panel"], "models": models, "panel": {"rule": rule, "members": list(names)} | panel}


async def test_each_model_has_its_own_price_and_every_members_verdict_is_kept(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    judge = with_panel(server, "agree", "cheap", "strong")
    judge["models"]["cheap"]["price"] = {"tokens_in": 1}
    judge["models"]["strong"]["price"] = {"tokens_in": 100}
    folder = played(tmp_path, judge, episodes)
    report = await judge_stage(folder, 1)
    directory, count = folder.stage_dir(1, Stage.JUDGE), GROUPS * MEMBERS
    verdicts = read_verdicts(directory)
    assert [(one.judge, one.reward) for one in verdicts] == [("panel", 1.0)] * count
    assert report.metrics["judge_cost"] == pytest.approx(count * (2_000 + 200_000) / 1e6)
    kept = {one.key: one for one in read_verdict_file(directory / ANSWERS)}
    assert Counter(one.judge for one in kept.values()) == {"rubric": 2 * count, "panel": count}
    with VerdictFile(directory / ANSWERS) as file:
        assert file.used.tokens_in == 4_000 * count, "a panel's decision is not counted beside its members' verdicts"
    for one in verdicts:
        assert kept[one.key] == one.model_copy(update={"opinions": ()})
        assert [vote.member for vote in one.votes] == ["cheap", "strong"]
        assert [kept[vote.key].model for vote in one.votes] == ["m-cheap", "m-strong"]
    assert len(server.questions) == 4 * count
    assert {question.sure for question in server.questions} == {False}
    await judge_stage(folder, 1)
    assert len(server.questions) == 4 * count, "a second run makes no call"
    assert read_verdicts(directory) == verdicts


async def test_a_spent_budget_of_one_model_leaves_the_other_its_own(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    judge = with_panel(server, "agree", "cheap", "strong")
    judge["models"]["strong"] |= {"most_tokens": 2_000, "concurrency": 1}
    folder = played(tmp_path, judge, episodes)
    with pytest.raises(StageError, match="budget of 2000 tokens is spent"):
        await judge_stage(folder, 1)
    asked = [question.model for question in server.questions]
    assert asked.count("m-cheap") == 2 * GROUPS * MEMBERS and asked.count("m-strong") == 2
    with pytest.raises(StageError):
        await judge_stage(folder, 1)
    assert len(server.questions) == len(asked), "the budget goes on where it was, for its own model"


async def test_an_unsure_cheap_judge_hands_over_to_the_strong_one(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    def answer(question: Question) -> Said:
        if question.model == "m-strong":
            return Said(yes(question, **({"supported": False, "pages": []} if question.form == "Support" else {})))
        if "(i0001-t.1)" in question.text:
            return Said(yes(question, confidence="medium"))
        return Said("I think it worked.") if "(i0001-t.2)" in question.text else Said(yes(question))

    server.answer = answer
    folder = played(tmp_path, with_panel(server, "escalate", "cheap", "strong"), episodes)
    await judge_stage(folder, 1)
    verdicts = {one.trajectory_id: one for one in read_verdicts(folder.stage_dir(1, Stage.JUDGE))}
    sure, unsure, unreadable = (verdicts[f"i0001-t.{n}-m00"] for n in range(3))
    assert (sure.reward, sure.confidence, len(sure.votes)) == (1.0, "high", 1)
    assert (unsure.reward, unsure.model, MEMBERS_DISAGREE in unsure.flags) == (0.0, "m-strong", True)
    assert "cheap: success, strong: no success; cheap is unsure: its confidence is medium" in unsure.evidence
    assert (unreadable.reward, MEMBERS_DISAGREE in unreadable.flags) == (0.0, False)
    assert "its reply is unusable: extra_text" in unreadable.evidence
    asked = {(question.model, question.sure) for question in server.questions}
    assert asked == {("m-cheap", True), ("m-strong", False)}, "the last one is not asked how sure it is"

    server.answer = lambda question: Said(yes(question))
    server.questions.clear()
    await judge_stage(folder, 1)
    again = {one.trajectory_id: one for one in read_verdicts(folder.stage_dir(1, Stage.JUDGE))}
    assert again == verdicts and server.questions == [], "what could not be read is not asked again once it is decided"


async def test_a_model_of_the_panel_that_also_is_the_rubric_judge_is_paid_once(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    judge = with_panel(server, "agree", "cheap", "strong")
    folder = played(
        tmp_path, judge | {"chain": ["rubric", "panel"], "rubric_model": "cheap", "ask_all": True}, episodes
    )
    await judge_stage(folder, 1)
    asked = [question.model for question in server.questions]
    assert asked.count("m-cheap") == asked.count("m-strong") == 2 * GROUPS * MEMBERS


async def test_order_and_concurrency_change_no_decision(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    """The models answer by the words of the prompt, and in an order of their own; one call at once, or many."""

    def answer(question: Question) -> Said:
        fate = sum(question.model.encode() + question.text.partition("(i0001-")[2][:4].encode())
        reply = reply_to(question, **({} if question.form == "Facts" else {"supported": fate % 2 == 0}))
        return Said(json.dumps(reply), after_s=fate % 5 / 200)

    server.answer = answer
    results = []
    for concurrency in (1, 8):
        home = tmp_path / str(concurrency)
        home.mkdir()
        judge = with_panel(server, "best_of_three", *"abc")
        for model in judge["models"].values():
            model["concurrency"] = concurrency
        folder = played(home, judge, episodes)
        await judge_stage(folder, 1)
        verdicts = read_verdicts(folder.stage_dir(1, Stage.JUDGE))
        results.append([one.model_copy(update={"seconds": 0, "opinions": ()}) for one in verdicts])
    assert results[0] == results[1]
    assert len({one.reward for one in results[0]}) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"panel": None}, "a chain has the judge panel, which needs members; set judge.panel"),
        ({"panel": {"rule": "agree", "members": ["a", "x"]}}, "there is no judge model x; judge.models has a, b, c"),
        ({"panel": {"rule": "best_of_three", "members": ["a", "b"]}}, "rule best_of_three needs 3 members, found 2"),
        ({"panel": {"rule": "escalate", "members": ["a", "b", "c"]}}, "rule escalate needs 2 members, found 3"),
        ({"panel": {"rule": "agree", "members": ["a", "a"]}}, "names a judge model twice"),
        ({"panel": {"rule": "vote", "members": ["a", "b"]}}, "judge.panel.rule: input should be 'agree'"),
        ({"chain": ["rubric"]}, "which asks one of the models a, b, c; name it in judge.rubric_model"),
        ({"rubric_model": "x"}, "there is no judge model x"),
        ({"model": {"model": "m", "base_url": "http://x"}}, "model and models are both set"),
        ({"models": {"A b": {"model": "m", "base_url": "http://x"}}}, "judge.models.A b"),
        ({"models": {n: {"model": "m", "base_url": "http://x"} for n in "abc"}}, "has the same model twice"),
    ],
)
def test_bad_settings_are_one_sentence(
    tmp_path: Path, server: JudgeServer, change: dict[str, Any], sentence: str
) -> None:
    judge = with_panel(server, "best_of_three", "a", "b", "c")
    load_config(config_file(tmp_path, judge))
    with pytest.raises(ConfigError) as refused:
        load_config(config_file(tmp_path, judge | change))
    assert sentence in str(refused.value), str(refused.value)


def test_a_resume_may_change_the_limits_of_a_named_model(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    folder = played(tmp_path, with_panel(server, "agree", "a", "b"), episodes)
    judge = with_panel(server, "agree", "a", "b")
    judge["models"]["b"] |= {"most_cost": 5.0, "concurrency": 3}
    raised = load_config(config_file(tmp_path, judge)).model_copy(update={"runs_dir": folder.config.runs_dir})
    assert folder.changed_to(raised).config.judge.models["b"].most_cost == 5.0
    assert asking(server)["model"]["model"] == "judge-1"
