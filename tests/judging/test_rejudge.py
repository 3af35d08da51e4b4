"""Judging again and the report: sets of verdicts beside the first, compared with it or with a person's."""

import asyncio
import json
from pathlib import Path

import pytest
from command_line import Run
from judge_server import JudgeServer, Question, Said, yes
from judged_episodes import Episodes
from judged_runs import GROUPS, MEMBERS, asking, played

from agent.verdict import Verdict
from flows.settings.run_folder import RunFolder
from flows.stages.judge import judge_stage
from flows.stages.rejudge import sets_of
from judging.meta.agreement import agreement, wilson
from storage.stages import Stage, StageReport
from storage.store import TrajectoryStore
from storage.verdicts import VERDICTS, read_verdicts

FALSE = "(i0001-t.1)"
"""The goal of the group whose reference answer is wrong."""


def verdict(name: str, reward: float | None) -> Verdict:
    return Verdict(trajectory_id=name, reward=reward, judge="j")


def test_the_figures_are_those_of_a_worked_example() -> None:
    """Kappa of 20, 5, 10, 15 is 0.4 (Cohen's example in many textbooks)."""
    rows = [(1.0, 1.0)] * 20 + [(1.0, 0.0)] * 5 + [(0.0, 1.0)] * 10 + [(0.0, 0.0)] * 15 + [(None, 1.0), (1.0, None)]
    reference = [verdict(str(number), theirs) for number, (_, theirs) in enumerate(rows)]
    judged = [verdict(str(number), ours) for number, (ours, _) in enumerate(rows)]
    found = agreement(reference, [*judged, verdict("unknown", 1.0)])
    assert (found.true_positives, len(found.false_positives), len(found.false_negatives)) == (20, 5, 10)
    assert (found.true_negatives, found.undecided, found.decided) == (15, 2, 50)
    assert found.kappa == pytest.approx(0.4)
    assert found.false_positive_rate is not None and found.false_positive_rate.value == 5 / 20
    assert found.false_negative_rate is not None and found.false_negative_rate.value == 10 / 30
    rate = wilson(5, 20)
    assert rate is not None and (round(rate.low, 4), round(rate.high, 4)) == (0.1119, 0.4687)


def test_figures_without_a_denominator_are_none() -> None:
    found = agreement([verdict("a", 1.0)], [verdict("a", 1.0)])
    assert (found.kappa, found.false_positive_rate) == (None, None)
    assert agreement([], []).kappa is None and wilson(0, 0) is None


@pytest.fixture
def judged(tmp_path: Path, episodes: Episodes) -> RunFolder:
    """A run that the expected answer judged: one group failed, for its reference answer is wrong."""
    folder = played(tmp_path, {"chain": ["answer"]}, episodes)
    folder.finish(StageReport(stage=Stage.ROLLOUT, iteration=1, seconds=1.0))
    store = TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT))
    for name in store.ids():
        one = store.read(name)
        reference = "7 EUR" if FALSE in one.goal else "42 EUR"
        task = one.task.model_copy(update={"reference_answer": reference})
        store.write(one.model_copy(update={"task": task, "answer": "42 EUR"}), {})
    asyncio.run(judge_stage(folder, 1))
    return folder


def with_model(server: JudgeServer) -> list[str]:
    judge = asking(server)
    return ["judge.chain=[rubric]", f"judge.model={json.dumps(judge['model'])}"]


def test_a_second_set_stands_beside_the_first_and_is_compared_with_it(
    judged: RunFolder, server: JudgeServer, run: Run, tmp_path: Path
) -> None:
    directory = judged.stage_dir(1, Stage.JUDGE)
    before = (directory / VERDICTS).read_bytes()
    status, out, err = run("rejudge", judged.root, *with_model(server), "--set", "model")
    assert (status, err) == (0, ""), err
    assert "success 100.0% of 6" in out and "judge-report" in out
    assert (directory / VERDICTS).read_bytes() == before, "the run has learned from the first set"
    assert {one.judge for one in read_verdicts(directory / "sets" / "model")} == {"rubric"}
    assert sets_of(judged) == ["model"]

    status, out, err = run("judge-report", judged.root, "--set", "model")
    assert status == 0, err
    assert "both decided on 6 trajectories" in out and "false positives      100.0% (34.2% to 100.0%)" in out
    assert out.count("false positive: i0001-t.1-m0") == MEMBERS and "Cohen's kappa        0.000" in out

    person = tmp_path / "person.jsonl"
    names = [one.trajectory_id for one in read_verdicts(directory)]
    person.write_text("".join(verdict(name, float(n % 2)).model_dump_json() + "\n" for n, name in enumerate(names)))
    status, out, _ = run("judge-report", judged.root, "--set", "model", "--reference", person)
    assert status == 0 and out.count("false positive: ") == GROUPS


def test_one_judge_alone_gives_a_set_with_its_name(judged: RunFolder, server: JudgeServer, run: Run) -> None:
    status, out, err = run("rejudge", judged.root, *with_model(server)[1:], "--judge", "rubric")
    assert status == 0 and f"judge-report {judged.root} --set rubric" in out, err
    assert sets_of(judged) == ["rubric"]


def test_a_set_that_was_broken_off_goes_on(judged: RunFolder, server: JudgeServer, run: Run) -> None:
    def answer(question: Question) -> Said:
        return Said("", status=400) if FALSE in question.text else Said(yes(question))

    server.answer = answer
    status, out, _ = run("rejudge", judged.root, *with_model(server), "--set", "model")
    assert status == 0 and "2 without a reward" in out
    _, out, _ = run("judge-report", judged.root, "--set", "model")
    assert "4 trajectories, 2 without a reward on one side" in out and "unjudged, misconfigured: 2" in out
    server.answer = lambda question: Said(yes(question))
    server.questions.clear()
    status, out, _ = run("rejudge", judged.root, *with_model(server), "--set", "model")
    assert status == 0 and len(server.questions) == 2 * MEMBERS, "what is decided is not asked again"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rejudge", "--iteration", "7"], "has no judged iteration 7; judged iterations: 1"),
        (["rejudge", "--set", "../x"], "a set's name begins with a letter"),
        (["rejudge", "judge.chain=[rubric]"], "needs a model; set judge.model"),
        (["rejudge", "--judge", "rubric"], "needs a model; set judge.model"),
        (["rejudge", "--judge", "vote"], "judge.chain.0: input should be 'verifier', 'answer', 'rubric' or 'panel'"),
        (["judge-report", "--set", "again"], "has no verdicts of the set again there; sets: none"),
        (["judge-report"], "no trajectory was decided by verifier and by another judge (judges: answer)"),
        (["judge-report", "--judge", "rubric"], "no verdict has an opinion of the judge rubric; judges: answer"),
        (["judge-report", "judge.chain=[rubric]"], "takes no settings"),
    ],
)
def test_mistakes_are_one_sentence(judged: RunFolder, run: Run, arguments: list[str], sentence: str) -> None:
    command, *rest = arguments
    status, _, err = run(command, judged.root, *rest)
    assert status == 1 and err.startswith("rl-loop: ") and err.count("\n") == 1, err
    assert sentence in err


def test_a_reference_that_cannot_be_read_is_one_sentence(
    judged: RunFolder, server: JudgeServer, run: Run, tmp_path: Path
) -> None:
    run("rejudge", judged.root, *with_model(server))
    for text, sentence in (
        ('{"trajectory_id": "a", "reward": 2, "judge": "me"}', "reward: Input should be less than or equal to 1"),
        ("no json", "expected a verdict a line"),
        ('{"trajectory_id": "a", "reward": 1, "judge": "me"}\n' * 2, "has two verdicts for a; keep one of them"),
        ('{"trajectory_id": "a", "reward": 1, "judge": "me"}', "no trajectory has a reward on both sides"),
    ):
        file = tmp_path / "labels.jsonl"
        file.write_text(text)
        status, _, err = run("judge-report", judged.root, "--reference", file)
        assert status == 1 and sentence in err and err.count("\n") == 1, err
    status, _, err = run("judge-report", judged.root, "--reference", tmp_path / "none.jsonl")
    assert status == 1 and "No such file" in err
