"""Chains of an environment and of a single task: who is asked, and what a task file may name."""

import json
from pathlib import Path
from typing import Any

import pytest
from judge_server import JudgeServer
from judged_episodes import Episodes
from judged_runs import asking, config_file, played
from typer.testing import CliRunner

from agent.types import JudgeName, Task, Trajectory
from agent.verdict import Verdict
from environments.taskfiles.fields import BadRow
from environments.taskfiles.reading import Reading, task_of
from flows.commands.tasks import tasks_app
from flows.settings.loop_config import load_config
from flows.stages.judge import judge_stage
from flows.starting.preflight import PreflightError, tasks
from judging.by_task import ByTask
from judging.config import JudgeConfig
from judging.verdict_key import digest_of
from storage.stages import Stage
from storage.store import TrajectoryStore
from storage.verdicts import read_verdicts

NAMES: tuple[JudgeName, ...] = ("verifier", "answer", "rubric")


class Named:
    """A judge that decides whatever it is asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def judge(self, trajectory: Trajectory) -> Verdict:
        return Verdict(trajectory_id=trajectory.id, reward=1.0, judge=self.name)


def at(environment: str, *judges: JudgeName) -> Trajectory:
    one = Episodes().episode()
    return one.model_copy(update={"task": Task(id="t", environment=environment, judge=judges)})


async def test_a_tasks_chain_goes_before_its_environments_and_that_before_the_configurations() -> None:
    config = JudgeConfig.model_validate(
        {
            "chain": ["verifier"],
            "environments": {"live": ["answer"]},
            "model": {"model": "m", "base_url": "http://127.0.0.1:1"},
        }
    )
    judges = ByTask(config, {name: Named(name) for name in NAMES})
    asked = [at("miniwob"), at("live"), at("live", "rubric", "answer"), at("miniwob", "answer")]
    assert [(await judges.judge(one)).judge for one in asked] == ["verifier", "answer", "rubric", "answer"]
    quick = ByTask(config, {name: Named(name) for name in NAMES[:2]}, quick=True)
    assert [(await quick.judge(one)).judge for one in asked] == ["verifier", "answer", "answer", "answer"]
    assert (await quick.judge(at("live", "rubric"))).reward is None


async def test_a_judge_that_the_configuration_lacks_leaves_the_task_unjudged_and_says_what_to_set() -> None:
    judges = ByTask(JudgeConfig(), {"verifier": Named("verifier"), "answer": Named("answer")})
    verdict = await judges.judge(at("live", "panel"))
    assert (verdict.reward, verdict.unjudged) == (None, "misconfigured")
    assert verdict.evidence == "not judged: the task names the judge panel, which needs members; set judge.panel"
    assert (await judges.judge(at("live", "answer", "panel"))).reward == 1


async def test_a_run_asks_the_chain_of_each_task(tmp_path: Path, server: JudgeServer, episodes: Episodes) -> None:
    judge = asking(server) | {"chain": ["verifier"], "environments": {"live": ["answer"]}}
    folder = played(tmp_path, judge | {"rubric": {"find_blocked": False}}, episodes)
    store = TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT))
    for name in store.ids():
        one = store.read(name)
        own: dict[str, Any] = {"judge": ("rubric",)} if "t.1" in name else {"reference_answer": "42 EUR"}
        store.write(one.model_copy(update={"task": one.task.model_copy(update=own), "answer": "42 EUR"}), {})
    await judge_stage(folder, 1)
    verdicts = read_verdicts(folder.stage_dir(1, Stage.JUDGE))
    assert {(one.trajectory_id[6:9], one.judge) for one in verdicts} == {
        ("t.0", "answer"),
        ("t.1", "rubric"),
        ("t.2", "answer"),
    }


ROWS = {
    "ours": {"id": "p", "environment": "live", "goal": "Go.", "start_url": "https://a.example"},
    "dashboard": {"id": "p", "task": "Go.", "start_url": "https://a.example"},
}


@pytest.mark.parametrize("form", ROWS)
def test_a_task_file_names_known_judges_only(form: str) -> None:
    def read(*judge: Any) -> Task:
        return task_of(ROWS[form] | {"judge": list(judge)}, Reading())

    assert read("answer", "panel").judge == ("answer", "panel") and read().judge == ()
    for judge, sentence in (
        (["vote"], "judge.0: input should be 'verifier', 'answer', 'rubric' or 'panel', found 'vote'"),
        (["answer", "answer"], "judge: value error, names a judge twice: answer, answer"),
        ([["answer"]], "judge.0: input should be 'verifier'"),
        (["answer"] * 9, "judge: tuple should have at most 8 items"),
    ):
        with pytest.raises(BadRow) as refused:
            read(*judge)
        assert sentence in str(refused.value), str(refused.value)
    with pytest.raises(BadRow, match="judge: input should be a valid tuple"):
        task_of(ROWS[form] | {"judge": "rubric"}, Reading())


def test_tasks_check_counts_own_chains_and_both_formats_keep_them(tmp_path: Path) -> None:
    path, out = tmp_path / "tasks.jsonl", tmp_path / "out"
    chains = [["answer", "panel"], ["answer", "panel"], ["rubric"], []]
    lines = [json.dumps(ROWS["ours"] | {"id": f"p{n}", "judge": chain}) for n, chain in enumerate(chains)]
    path.write_text("\n".join(lines))
    for form in ("dashboard", "ours"):
        done = CliRunner().invoke(tasks_app, ["check", str(path)])
        assert done.exit_code == 0 and done.stdout.endswith("own judges: [answer, panel] 2, [rubric] 1\n"), done.stdout
        assert CliRunner().invoke(tasks_app, ["convert", str(path), str(out), "--to", form]).exit_code == 0
        path = out


def test_a_run_whose_tasks_name_a_judge_that_is_not_set_is_not_begun(tmp_path: Path) -> None:
    lines = [
        json.dumps(ROWS["ours"] | {"id": f"{split}{n}", "split": split, "judge": ["rubric"]})
        for split in ("train", "heldout")
        for n in range(40)
    ]
    for split in ("train", "heldout"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    config = load_config(config_file(tmp_path, {}))
    with pytest.raises(PreflightError, match=r"names the judge rubric, which needs a model; set judge\.model"):
        tasks(config)
    model = {"model": "m", "base_url": "http://127.0.0.1:1"}
    assert "training episodes" in tasks(load_config(config_file(tmp_path, {"model": model})))


def test_the_chain_of_a_task_is_no_part_of_the_question_to_a_judge() -> None:
    assert digest_of(at("live")) == digest_of(at("live", "rubric"))
    assert '"judge"' not in Episodes().episode().model_dump_json(exclude={"task": {"judge"}})
