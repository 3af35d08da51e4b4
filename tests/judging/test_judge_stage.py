"""The judge stage of a run with a judge model: a real run folder, and a model on loopback."""

import json
from collections import Counter
from pathlib import Path

import pytest
from judge_server import JudgeServer, Said, yes
from judged_episodes import Episodes
from judged_runs import GROUPS, MEMBERS, Judge, asking, config_file, played

from agent.types import Trajectory
from flows.policy.waiting import StageError
from flows.settings.loop_config import ConfigError, load_config
from flows.settings.run_folder import RunFolder
from flows.stages.judge import judge_stage
from flows.starting.preflight import models
from flows.tracking.learning_signal import warnings
from judging.opening import ANSWERS, quick_judge
from storage.errors import LoopError
from storage.stages import Stage
from storage.store import TrajectoryStore
from storage.verdicts import read_verdicts


async def test_each_trajectory_gets_a_verdict_and_the_stage_says_what_it_cost(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    price = {"tokens_in": 1, "tokens_out": 10}
    folder = played(tmp_path, asking(server, price=price), episodes)
    report = await judge_stage(folder, 1)
    verdicts = read_verdicts(folder.stage_dir(1, Stage.JUDGE))
    assert [verdict.reward for verdict in verdicts] == [1.0] * GROUPS * MEMBERS
    assert {verdict.judge for verdict in verdicts} == {"rubric"} and verdicts[0].model == "judge-1"
    assert report.metrics["success_rate"] == 1.0 and report.counts["unjudged"] == 0
    assert report.metrics["judge_tokens"] == 2_200 * len(verdicts)
    assert report.metrics["judge_cost"] == pytest.approx(len(verdicts) * (2_000 + 200 * 10) / 1e6)


async def test_the_stage_reads_each_trajectory_once(
    tmp_path: Path, server: JudgeServer, episodes: Episodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trajectory on the web has megabytes of observations: parsing it is most of the work of a verifier."""
    folder, read = played(tmp_path, asking(server), episodes), Counter[str]()
    original = TrajectoryStore.read

    def counted(store: TrajectoryStore, trajectory_id: str) -> Trajectory:
        read[trajectory_id] += 1
        return original(store, trajectory_id)

    monkeypatch.setattr(TrajectoryStore, "read", counted)
    await judge_stage(folder, 1)
    assert len(read) == GROUPS * MEMBERS and set(read.values()) == {1}


async def test_a_model_that_is_away_ends_the_stage_and_a_resume_asks_only_for_what_is_missing(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    folder = played(tmp_path, asking(server), episodes)
    # One group is judged; for the others the model is away.
    server.answer = lambda question: Said(yes(question)) if "(i0001-t.1)" in question.text else Said("", status=400)
    with pytest.raises(StageError, match=r"of 3 groups could be judged, 2 are needed"):
        await judge_stage(folder, 1)
    assert not folder.is_done(1, Stage.JUDGE)
    lines = (folder.stage_dir(1, Stage.JUDGE) / ANSWERS).read_text().splitlines()
    decided = [line for line in lines if json.loads(line)["reward"] is not None]
    assert (len(lines), len(decided)) == (GROUPS * MEMBERS, MEMBERS)

    server.answer = lambda question: Said(yes(question))
    server.questions.clear()
    report = await judge_stage(folder, 1)
    assert report.counts == {"verdicts": 6, "unjudged": 0}
    assert len(server.questions) == 2 * (len(lines) - len(decided)), "a decided trajectory is not asked again"


async def test_a_spent_budget_is_a_state_and_no_failure_of_the_policy(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    folder = played(tmp_path, asking(server, most_tokens=1, concurrency=1), episodes)
    with pytest.raises(StageError, match="budget of 1 tokens is spent"):
        await judge_stage(folder, 1)
    lines = (folder.stage_dir(1, Stage.JUDGE) / ANSWERS).read_text().splitlines()
    assert {json.loads(line)["reward"] for line in lines} <= {None, 1.0}


def test_a_resume_may_raise_the_budget(tmp_path: Path, server: JudgeServer, episodes: Episodes) -> None:
    folder = played(tmp_path, asking(server, most_tokens=1), episodes)
    raised = load_config(config_file(tmp_path, asking(server, most_tokens=1_000_000, concurrency=2)))
    changed = folder.changed_to(raised.model_copy(update={"runs_dir": folder.config.runs_dir}))
    assert changed.config.judge.model is not None and changed.config.judge.model.most_tokens == 1_000_000
    assert RunFolder.open(folder.root).config == changed.config
    other = load_config(config_file(tmp_path, {"chain": ["answer"]}))
    with pytest.raises(LoopError, match=r"judge\.chain"):
        folder.changed_to(other)


async def test_an_expected_answer_needs_no_model(tmp_path: Path, server: JudgeServer, episodes: Episodes) -> None:
    folder = played(tmp_path, asking(server), episodes)
    store = TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT))
    for name in store.ids():
        one = store.read(name)
        task = one.task.model_copy(update={"reference_answer": "42 EUR"})
        store.write(one.model_copy(update={"task": task, "answer": "42 EUR"}), {})
    await judge_stage(folder, 1)
    assert {verdict.judge for verdict in read_verdicts(folder.stage_dir(1, Stage.JUDGE))} == {"answer"}
    assert server.questions == []


@pytest.mark.parametrize(
    ("judge", "sentence"),
    [
        ({"chain": []}, "judge.chain: list should have at least 1 item"),
        ({"chain": ["rubric"]}, "needs a model; set judge.model"),
        ({"chain": ["answer", "answer"]}, "names a judge twice"),
        ({"chain": ["vote"]}, "judge.chain.0: input should be 'verifier', 'answer', 'rubric' or 'panel'"),
        ({"environments": {"live": ["vote"]}}, "judge.environments.live.0: input should be 'verifier'"),
        ({"environments": {"live": ["rubric"]}}, "a chain has the judge rubric, which needs a model"),
        ({"environments": {"store": ["answer"]}}, "there is no environment store; known: miniwob, live"),
        ({"chain": ["rubric"], "model": {"model": "m"}}, "needs base_url"),
        ({"chain": ["rubric"], "model": {"model": "m", "kind": "gemini"}}, "needs api_key_env"),
        (
            {"chain": ["rubric"], "model": {"model": "m", "base_url": "http://x", "api_key_env": "sk-12"}},
            "NAME of an env",
        ),
        ({"chain": ["rubric"], "model": {"model": "m", "base_url": "http://x", "most_cost": 0}}, "greater than 0"),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path: Path, judge: Judge, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(config_file(tmp_path, judge))
    assert sentence in str(refused.value), str(refused.value)


def test_a_missing_key_is_found_before_the_start(tmp_path: Path, server: JudgeServer) -> None:
    config = load_config(config_file(tmp_path, asking(server, api_key_env="NO_SUCH_JUDGE_KEY")))
    with pytest.raises(LoopError, match="NO_SUCH_JUDGE_KEY, which is not set"):
        models(config)


def test_who_can_judge_is_said_at_the_start(tmp_path: Path, server: JudgeServer) -> None:
    assert warnings(load_config(config_file(tmp_path, asking(server)))) == []
    for_tasks, nobody = warnings(load_config(config_file(tmp_path, asking(server) | {"chain": ["answer"]})))
    assert "asked only for tasks that name rubric or panel" in for_tasks and "it has no verifier" in nobody
    (warning,) = warnings(load_config(config_file(tmp_path, {})))
    assert "only episodes of tasks with an expected answer get a verdict" in warning
    (warning,) = warnings(load_config(config_file(tmp_path, {"chain": ["verifier"]})))
    assert "every episode stays unjudged" in warning


async def test_a_chain_of_the_model_alone_gives_no_reward_during_the_rollout(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    """A judge that the configuration leaves out must not decide which groups are replaced."""
    model_only = load_config(config_file(tmp_path, asking(server) | {"chain": ["rubric"]})).judge
    quick = quick_judge(model_only, lambda *_: pytest.fail("the verifier is not in the chain"))
    assert (await quick.judge(episodes.episode())).reward is None
    assert server.questions == []
